/** Asks a running node through its control socket. */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { CommandError, EXIT, exitCodeFor } from '../exit.ts'
import { controlPath, runningNames } from './path.ts'
import { NO_METHOD } from './server.ts'

interface Answer {
  readonly result?: unknown
  readonly event?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * The node meant by '@NAME', 'NAME', or by nothing when only one is running.
 * @throws CommandError exit 2 — none, or several, are running.
 */
export async function chooseNode(text: string | undefined): Promise<string> {
  if (text !== undefined) return text.replace(/^@/, '')
  const names = await runningNames()
  if (names.length === 1) return names[0] as string
  throw names.length === 0
    ? new CommandError(
        'no node is running here; start one, for example with `netstrata serve`',
        EXIT.unreachable,
        'ENOENT',
      )
    : new CommandError(`several nodes are running: say which, @${names.join(' or @')}`, EXIT.usage, 'ERR_USAGE')
}

/** One question, one answer. @throws NodeGone — it is not running. @throws CommandError — what it answers, with the exit code for that. */
export async function ask(node: string, method: string, params?: object, signal?: AbortSignal): Promise<unknown> {
  for await (const answer of request(node, method, params, signal)) return answer.result
  throw await gone(node)
}

/** How long a node has to say the rest once nobody wants more. */
const LAST_WORDS_MS = 1000

/** Events until the node stops, the caller has enough, or the signal aborts: then those the node still holds back, too. */
export async function* follow(node: string, method: string, signal?: AbortSignal): AsyncGenerator<unknown> {
  for await (const answer of request(node, method, undefined, signal)) yield answer.event
}

async function* request(
  node: string,
  method: string,
  params: object | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Answer> {
  const socket = await dial(node)
  const lines = createInterface(socket)
  // The lines end with the interface; with a socket that is destroyed they would be waited for in vain.
  socket.once('close', () => lines.close())
  const stop = (): void => {
    socket.end()
    setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref()
  }
  signal?.addEventListener('abort', stop, { once: true })
  try {
    if (signal?.aborted) return
    socket.write(`${JSON.stringify({ id: 1, method, params })}\n`)
    for await (const line of lines) {
      const answer = JSON.parse(line) as Answer
      if (answer.error !== undefined) throw refused(node, answer.error)
      yield answer
    }
  } finally {
    signal?.removeEventListener('abort', stop)
    socket.destroy()
  }
}

function dial(node: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(controlPath(node), () => resolve(socket))
    socket.once('error', () => void gone(node).then(reject))
  })
}

function refused(node: string, { code, message }: NonNullable<Answer['error']>): CommandError {
  const hint = `'${node}' cannot do this: it is no router, or of another version, as 'netstrata doctor @${node}' tells`
  return new CommandError(code === NO_METHOD ? hint : message, exitCodeFor(code), code)
}

/** There is no such node, or none any more: exit 4. */
export class NodeGone extends CommandError {}

async function gone(node: string): Promise<NodeGone> {
  const others = (await runningNames()).filter((name) => name !== node)
  const hint = others.length === 0 ? 'no node is running here' : `running here: @${others.join(', @')}`
  return new NodeGone(`no node named '${node}' is running (${hint})`, EXIT.unreachable, 'ENOENT')
}
