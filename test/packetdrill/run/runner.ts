/**
 * Runs a script: event after event, at their times.
 *
 * As in the original, relative times count from the moment the event before is done with, and packets that are expected
 * are looked at in the order they were sent, whenever that was: their times are compared then. What was sent and never
 * asked for is no failure unless something else is expected instead.
 */
import type { Connection } from '../../../src/index.ts'
import { Failure, Unsupported } from '../failure.ts'
import { parseScript } from '../language/parser.ts'
import type { CallAction, Event, Script } from '../language/script.ts'
import { numberOf } from '../linux/arguments.ts'
import { type CallListener, Calls } from '../linux/calls.ts'
import type { Attempt, Outcome } from '../linux/outcome.ts'
import { runShell } from '../linux/shell.ts'
import type { LinuxSocket } from '../linux/socket.ts'
import { Sysctls } from '../linux/sysctl.ts'
import { TCP_INFO_CONSTANTS, tcpInfo } from '../linux/tcp-info.ts'
import { runSnippet } from '../python/run.ts'
import type { PythonValue, Scope } from '../python/values.ts'
import { type Config, configOf } from './config.ts'
import { Conversations } from './conversations.ts'
import { NodeUnderTest } from './node.ts'
import { PacketEvents } from './packet-events.ts'
import { Trace } from './trace.ts'

export interface Verdict {
  readonly ok: boolean
  /** Why not; one line, with the script's line number. Empty when it passes. */
  readonly why: string
  /** What happened before it failed, several lines. */
  readonly trace: string
}

export interface RunOptions {
  /** Do not compare PSH. Default false. */
  readonly ignorePsh?: boolean | undefined
}

/** Runs the text of a script. It never throws: what goes wrong is the verdict. */
export async function runScript(text: string, options: RunOptions = {}): Promise<Verdict> {
  const trace = new Trace()
  try {
    await execute(parseScript(text), options, trace)
    return { ok: true, why: '', trace: '' }
  } catch (error) {
    return { ok: false, why: reason(error), trace: trace.toString() }
  }
}

function reason(error: unknown): string {
  if (error instanceof Failure) return error.line > 0 ? `line ${error.line}: ${error.message}` : error.message
  const [what, where = ''] = error instanceof Error ? (error.stack ?? error.message).split('\n') : [String(error)]
  return `the stack threw: ${what} ${where.trim()}`
}

async function execute(script: Script, options: RunOptions, trace: Trace): Promise<void> {
  const config = configOf(script.options)
  const sysctls = new Sysctls()
  const first = script.events.findIndex(({ action }) => action.kind !== 'shell')
  for (const { action, line } of script.events.slice(0, Math.max(first, 0))) {
    if (action.kind === 'shell') runShell(action.text, line, sysctls)
  }
  const node = new NodeUnderTest(config.mtu, sysctls.boot())
  try {
    await node.start()
    await new Run(node, config, sysctls, options, trace).run(script.events.slice(first))
  } finally {
    await node.close()
  }
}

/** A call that has to wait. */
interface Blocked {
  readonly event: Event
  readonly call: CallAction
  readonly attempt: Attempt
  /** When it should return, and by how much it may miss that. */
  readonly due: number
  readonly tolerance: number
}

class Run implements CallListener, Scope {
  private readonly node: NodeUnderTest
  private readonly config: Config
  private readonly sysctls: Sysctls
  private readonly trace: Trace
  private readonly conversations: Conversations
  private readonly packets: PacketEvents
  private readonly calls: Calls
  private readonly variables = new Map<string, PythonValue>()
  private blocked: Blocked | undefined
  /** That snippets ask about. */
  private underTest: LinuxSocket | undefined

  constructor(node: NodeUnderTest, config: Config, sysctls: Sysctls, options: RunOptions, trace: Trace) {
    this.node = node
    this.config = config
    this.sysctls = sysctls
    this.trace = trace
    this.conversations = new Conversations(config.bindPort)
    this.packets = new PacketEvents(node, config, this.conversations, options.ignorePsh ?? false, trace)
    const place = { remote: node.remoteAddress, bindPort: config.bindPort, connectPort: config.connectPort }
    this.calls = new Calls(node.sockets.stream, place, this, (duration, action) => node.after(duration, action))
  }

  async run(events: readonly Event[]): Promise<void> {
    let previous = 0
    for (const event of events) {
      const from = event.time.from === 'zero' ? 0 : this.node.now()
      const start = from + event.time.earliest
      const tolerance = this.tolerance(start - previous)
      await this.event(event, start, from + event.time.latest, tolerance)
      previous = start
    }
    if (this.blocked !== undefined) await this.finish(this.blocked)
  }

  /** (of the original) the longer of a fixed time and a part of the time since the event before. */
  private tolerance(since: number): number {
    return Math.max(this.config.toleranceUs, (this.config.tolerancePercent / 100) * since)
  }

  private async event(event: Event, start: number, latest: number, tolerance: number): Promise<void> {
    const { action, line, time } = event
    if (action.kind === 'packet' && action.direction === 'out') {
      const window = time.from === 'any' ? undefined : { earliest: start, latest, tolerance }
      await this.packets.expect(action, line, window, (until, condition) => this.advance(until, condition))
      return
    }
    await this.reach(start, tolerance, line)
    if (action.kind === 'packet') this.packets.arrive(action, line)
    else if (action.kind === 'call') await this.call(event, action, start)
    else if (action.kind === 'code') runSnippet(action.text, line, this.at(line))
    else runShell(action.text, line, this.sysctls)
    await this.advance(this.node.now(), () => false)
  }

  /** Lets time pass until an event that the script makes happen. */
  private async reach(start: number, tolerance: number, line: number): Promise<void> {
    const late = this.node.now() - start
    if (late > tolerance) {
      throw new Failure(line, `time runs backward: this event is ${seconds(late)} before the one above it was done`)
    }
    await this.advance(start, () => false)
  }

  /** Lets time pass, and lets a call that waits try again whenever something happened. */
  private async advance(until: number, condition: () => boolean): Promise<boolean> {
    return await this.node.advance(until, () => {
      this.retry()
      return condition()
    })
  }

  // ── calls

  private async call(event: Event, call: CallAction, start: number): Promise<void> {
    if (this.blocked !== undefined) await this.finish(this.blocked)
    const attempt = this.calls.start(call, event.line)
    const outcome = attempt()
    this.trace.add(this.node.now(), `${call.name}()${outcome === undefined ? ' waits' : ` = ${text(outcome)}`}`)
    if (call.returns === undefined) {
      if (outcome === undefined)
        throw new Failure(event.line, `${call.name}(): expected to return at once, but it waits`)
      judge(call, outcome, event.line)
      return
    }
    const due = start - event.time.earliest + call.returns
    const blocked = { event, call, attempt, due, tolerance: this.tolerance(due - start) }
    if (outcome === undefined) this.blocked = blocked
    else this.returned(blocked, outcome)
  }

  private retry(): void {
    if (this.blocked === undefined || !this.calls.changed) return
    this.calls.changed = false
    const outcome = this.blocked.attempt()
    if (outcome === undefined) return
    const { blocked } = this
    this.blocked = undefined
    this.trace.add(this.node.now(), `${blocked.call.name}() = ${text(outcome)}, having waited`)
    this.returned(blocked, outcome)
  }

  private returned({ call, event, due, tolerance }: Blocked, outcome: Outcome): void {
    judge(call, outcome, event.line)
    const off = this.node.now() - due
    if (Math.abs(off) <= tolerance) return
    const when = `expected to return at ${seconds(due)}, returned at ${seconds(this.node.now())}`
    throw new Failure(event.line, `${call.name}(): ${when} (tolerance ${seconds(tolerance)})`)
  }

  private async finish({ call, event, due, tolerance }: Blocked): Promise<void> {
    await this.advance(due + tolerance, () => this.blocked === undefined)
    if (this.blocked === undefined) return
    throw new Failure(event.line, `${call.name}(): expected to return at ${seconds(due)}, but it still waits`)
  }

  created(socket: LinuxSocket): void {
    this.underTest = socket
  }

  listening(port: number): void {
    this.conversations.listen(port)
  }

  connecting(socket: LinuxSocket, { local, remote }: Connection): void {
    this.underTest = socket
    this.conversations.connect(local.port, remote.port)
  }

  accepted(socket: LinuxSocket, { remote }: Connection): void {
    this.underTest = socket
    this.conversations.accept(remote.port)
  }

  // ── snippets

  private line = 0

  private at(line: number): Scope {
    this.line = line
    return this
  }

  lookup(name: string): PythonValue {
    const known = this.variables.get(name) ?? TCP_INFO_CONSTANTS.get(name)
    if (known !== undefined) return known
    const connection = this.underTest?.connection
    if (connection === undefined) throw new Failure(this.line, `${name}: there is no connection to ask`)
    const figure = tcpInfo(connection, name)
    if (figure === undefined) throw new Unsupported(this.line, `${name}, which the connection's info() does not tell`)
    return figure
  }

  assign(name: string, value: PythonValue): void {
    this.variables.set(name, value)
  }

  print(what: string): void {
    this.trace.add(this.node.now(), `print: ${what}`)
  }
}

/** @throws Failure — the call came out otherwise. */
function judge(call: CallAction, outcome: Outcome, line: number): void {
  const { result, errno, differs } = outcome
  const expected = call.result.kind === 'any' ? result : numberOf(call.result, line)
  const wrongError = expected === -1 && call.errno !== undefined && call.errno !== errno
  if (expected !== result || wrongError) {
    const wanted = `${expected}${call.errno === undefined ? '' : ` ${call.errno}`}`
    throw new Failure(line, `${call.name}(): expected ${wanted}, got ${text(outcome)}`)
  }
  if (differs !== undefined) throw new Failure(line, `${call.name}(): ${differs}`)
}

const text = ({ result, errno }: Outcome): string => (errno === undefined ? `${result}` : `${result} ${errno}`)

const seconds = (us: number): string => `${(us / 1e6).toFixed(6)} s`
