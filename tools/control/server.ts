/**
 * The control socket of a running node: a Unix socket of mode 0600 that speaks NDJSON.
 *
 *   → {"id": 1, "method": "links"}             with "params" for methods that take some
 *   ← {"id": 1, "result": […]}
 *   ← {"id": 1, "error": {"code": "…", "message": "…"}}
 *
 * A streaming method answers with any number of {"id", "event"} lines until the client hangs up.
 */
import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { CommandError, EXIT } from '../exit.ts'
import { answers, controlFolder, controlPath, tidyControlFolder } from './path.ts'

/** Code of the error for a method that this node does not have. */
export const NO_METHOD = 'ERR_NO_METHOD'

/** A request that is answered once. @param params anything, as the client sent it. */
export type Method = (params: unknown) => unknown | Promise<unknown>
/** A request that is answered by events, until `stop` (its result) is called. */
export type StreamMethod = (emit: (event: unknown) => void) => () => void

export interface ControlMethods {
  readonly calls: Readonly<Record<string, Method>>
  readonly streams: Readonly<Record<string, StreamMethod>>
}

/** Of what there may be a great many (sessions, stations), so many are told of at most. */
export const MOST_LISTED = 10_000
/** A line beyond this is no request. */
const MAX_LINE_OCTETS = 65_536
/** A client that does not read is hung up on beyond this. */
const MAX_WAITING_OCTETS = 64 * 1024 * 1024
/** How long a client has to read the rest once the node ends. */
const LAST_WORDS_MS = 1000

export interface ControlServer {
  readonly path: string
  /** Ends what streams, tells everybody the rest of it, hangs up, and removes the socket. */
  close(): Promise<void>
}

/** @throws CommandError exit 1 — a node of that name is running. */
export async function serveControl(node: string, methods: ControlMethods): Promise<ControlServer> {
  const path = controlPath(node)
  if (await answers(path)) {
    throw new CommandError(`a node named '${node}' is running; choose another with --name`, EXIT.failure, 'EADDRINUSE')
  }
  /** What ends the streams of each. */
  const clients = new Map<Socket, () => void>()
  // A client that ends its side is still told what its streams hold back.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    clients.set(client, serveClient(client, methods))
    client.on('close', () => clients.delete(client))
  })
  await listen(server, path)
  server.unref()
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          tidyControlFolder()
          resolve()
        })
        for (const [client, stop] of clients) {
          stop()
          client.end()
          const timer = setTimeout(() => client.destroy(), LAST_WORDS_MS)
          client.once('close', () => clearTimeout(timer))
        }
      }),
  }
}

/** The name itself, or with a number behind it when a node of that name is running. */
export async function freeName(name: string): Promise<string> {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? name : `${name}-${n}`
    if (!(await answers(controlPath(candidate)))) return candidate
  }
}

/** Binding happens within `listen`, so the folder is there, and the mask makes the socket private from its first moment. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    controlFolder()
    rmSync(path, { force: true }) // left behind by a node that died
    const mask = process.umask(0o177)
    server.once('error', reject)
    server.listen(path, resolve)
    process.umask(mask)
  })
}

/** @returns what ends its streams, and has them say the rest. */
function serveClient(client: Socket, methods: ControlMethods): () => void {
  const stops: (() => void)[] = []
  const stop = (): void => {
    for (const end of stops.splice(0)) end()
  }
  client.on('error', () => client.destroy())
  client.on('close', stop)
  const send = (message: object): void => {
    if (!client.writable) return
    client.write(`${JSON.stringify(message)}\n`)
    if (client.writableLength > MAX_WAITING_OCTETS) client.destroy()
  }
  let seen = 0
  client.on('data', (chunk) => {
    const end = chunk.lastIndexOf(10)
    seen = end < 0 ? seen + chunk.length : chunk.length - end
    if (seen > MAX_LINE_OCTETS) client.destroy()
  })
  let answers: Promise<unknown> = Promise.resolve()
  createInterface(client)
    .on('error', () => {}) // It repeats those of the client, which are seen to.
    .on('line', (line) => {
      answers = Promise.all([answers, answer(line, methods, stops, send)])
    })
    .on('close', async () => {
      await answers
      stop()
      client.end()
    })
  return stop
}

async function answer(
  line: string,
  methods: ControlMethods,
  stops: (() => void)[],
  send: (message: object) => void,
): Promise<void> {
  let id: unknown = null
  try {
    const request: unknown = JSON.parse(line)
    if (typeof request !== 'object' || request === null) throw new TypeError('a request is an object')
    id = 'id' in request ? request.id : null
    const name = 'method' in request && typeof request.method === 'string' ? request.method : ''
    if (Object.hasOwn(methods.streams, name)) {
      stops.push((methods.streams[name] as StreamMethod)((event) => send({ id, event })))
    } else if (Object.hasOwn(methods.calls, name)) {
      send({ id, result: await (methods.calls[name] as Method)('params' in request ? request.params : undefined) })
    } else {
      const known = [...Object.keys(methods.calls), ...Object.keys(methods.streams)].join(', ')
      send({ id, error: { code: NO_METHOD, message: `no method '${name}'; there are: ${known}` } })
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'ERR_REQUEST'
    send({ id, error: { code, message: error instanceof Error ? error.message : String(error) } })
  }
}
