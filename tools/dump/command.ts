/** `netstrata dump`: shows packets, from a file, from stdin, or from a running node. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import { captureSink } from '../../src/capture/file.ts'
import { CaptureReader, type CaptureRecord } from '../../src/capture/reader.ts'
import { CaptureWriter } from '../../src/capture/writer.ts'
import { follow } from '../control/client.ts'
import { CommandError, EXIT, usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { interruption, pause } from '../interrupt.ts'
import { Output } from '../output.ts'
import { integerArgument } from '../stack/options.ts'
import { unreadable } from '../unreadable.ts'
import { decode } from './decode.ts'
import { Flows } from './flows.ts'
import { clockTime, hexDump, json, line, relativeTime, type TimeFormat, tree } from './render.ts'

interface DumpOptions {
  readonly tree?: boolean
  readonly hex?: boolean
  readonly json?: boolean
  readonly follow?: boolean
  readonly relative?: boolean
  readonly absolute?: boolean
  readonly count?: number
  readonly interface?: string
  readonly write?: string
}

const FOLLOW_MS = 100

const HELP = `
A line says: time, interface, > sent or < received, the layers, [what is wrong],
{what the stack said of it: why it was dropped, or sent again}.`

export function registerDump(program: Command): void {
  const command = program
    .command('dump')
    .description('show the packets of a capture, or of a running node')
    .argument('[source]', "a pcapng or pcap file, @NODE, or '-' for stdin (default)")
    .option('-V, --tree', 'every field of every layer')
    .option('-x, --hex', 'the octets too')
    .option('-f, --follow', 'wait for what is still being written to the file')
    .option('-r, --relative', 'times since the first packet')
    .option('-S, --absolute', 'TCP sequence numbers as they are')
    .option('-c, --count <n>', 'stop after n packets', integerArgument(1, Number.MAX_SAFE_INTEGER))
    .option('-i, --interface <name>', 'only of this interface, or of all of this node')
    .option('-w, --write <file>', 'write the packets to a pcapng file instead of showing them')
    .option('--json', 'one object a line')
    .addHelpText('after', HELP)
    .action(dump)
  withExamples(command, [
    'netstrata dump demo.pcapng            a line for each packet',
    'netstrata dump -V -c 1 demo.pcapng    every field of the first packet',
    'netstrata dump @serve                 what passes the running node "serve"',
    'netstrata dump -f live.pcapng         a file that is still being written',
  ])
}

async function dump(source: string | undefined, options: DumpOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  if (source === undefined && process.stdin.isTTY) throw usageError('say what to show: a file, or @NODE')
  if (options.write !== undefined && source !== undefined && resolve(options.write) === resolve(source)) {
    throw usageError('-w would overwrite what is being read: name another file')
  }
  const show = options.write === undefined ? printer(output, options) : writer(options.write)
  try {
    await feed(source ?? '-', options, output, show, signal)
  } finally {
    await show.end()
  }
  signal.throwIfAborted()
}

/** Hands over what is wanted, record by record, as fast as it can be shown. */
async function feed(
  source: string,
  options: DumpOptions,
  output: Output,
  show: Show,
  signal: AbortSignal,
): Promise<void> {
  let left = options.count ?? Number.POSITIVE_INFINITY
  const reader = new CaptureReader()
  const say = (text: string): void => output.message(text)
  for await (const chunk of octetsOf(source, options.follow === true, say, signal)) {
    for (const record of reader.push(chunk)) {
      if (!wanted(record, options.interface)) continue
      show.packet(record)
      if (--left <= 0) return
    }
    await show.ready(signal)
  }
  if (!signal.aborted) reader.end()
}

/** Names go from node to layer: 'R' stands for all interfaces of R, 'R/eth0' for that link. */
function wanted({ interface: { name } }: CaptureRecord, prefix: string | undefined): boolean {
  return prefix === undefined || name === prefix || name.startsWith(`${prefix}/`)
}

interface Show {
  packet(record: CaptureRecord): void
  /** Settles when the reader of the output has caught up. */
  ready(signal: AbortSignal): Promise<void>
  end(): Promise<void>
}

function printer(output: Output, options: DumpOptions): Show {
  const time: TimeFormat = options.relative === true ? relativeTime() : clockTime
  const flows = options.absolute === true ? undefined : new Flows()
  return {
    packet(record) {
      const layers = decode(record, flows)
      output.data(json(record, layers, options.hex === true), () => {
        const parts = [line(record, layers, time, output.colors)]
        if (options.tree === true) parts.push(tree(layers, output.colors))
        if (options.hex === true) parts.push(hexDump(record.octets, layers, output.colors))
        return parts.join('\n')
      })
    },
    async ready(signal) {
      if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain', { signal }).catch(() => {})
    },
    async end() {},
  }
}

function writer(path: string): Show {
  const sink = captureSink(path)
  const capture = new CaptureWriter(sink.write)
  return { packet: (record) => capture.packet(record), ready: async () => {}, end: sink.close }
}

/** Each source ends by itself when the signal aborts. */
async function* octetsOf(
  source: string,
  following: boolean,
  say: (text: string) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (source.startsWith('@')) yield* live(source, say, signal)
  else if (source === '-') yield* untilAborted(process.stdin, signal)
  else yield* file(source, following, signal)
}

async function* live(source: string, say: (text: string) => void, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let started = false
  for await (const event of follow(source.slice(1), 'capture', signal)) {
    if (!started) say(`watching ${source}`)
    started = true
    yield Buffer.from(String(event), 'base64')
  }
}

/** @throws CommandError exit 1 — it cannot be read. */
async function* file(path: string, following: boolean, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* following ? tail(path, signal) : untilAborted(createReadStream(path), signal)
  } catch (error) {
    const { message, code } = unreadable(path, error)
    const hint = code === 'ENOENT' ? ' (a running node is @NAME)' : ''
    throw new CommandError(`${message}${hint}`, EXIT.failure, code, error)
  }
}

async function* untilAborted(stream: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  signal.addEventListener('abort', () => stream.destroy(), { once: true })
  try {
    for await (const chunk of stream) yield chunk as Buffer
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** A file to its end and beyond. */
async function* tail(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const file = await open(path)
  try {
    while (!signal.aborted) {
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(65_536) })
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead)
      else await pause(FOLLOW_MS, signal)
    }
  } finally {
    await file.close()
  }
}
