/** `netstrata dump`: shows packets, from a file, from stdin, or from a running node. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import { captureSink } from '../../src/capture/file.ts'
import { CaptureReader, type CaptureRecord } from '../../src/capture/reader.ts'
import { CaptureWriter } from '../../src/capture/writer.ts'
import { follow } from '../control/client.ts'
import { EXIT } from '../exit.ts'
import { interruption, pause } from '../interrupt.ts'
import { Output } from '../output.ts'
import { integerArgument } from '../stack/options.ts'
import { decode } from './decode.ts'
import { clockTime, hexDump, json, line, relativeTime, type TimeFormat, tree } from './render.ts'

interface DumpOptions {
  readonly tree?: boolean
  readonly hex?: boolean
  readonly json?: boolean
  readonly follow?: boolean
  readonly relative?: boolean
  readonly count?: number
  readonly interface?: string
  readonly write?: string
}

const FOLLOW_MS = 100

const HELP = `
Examples:
  netstrata dump demo.pcapng              one line per packet
  netstrata dump -V -c 1 demo.pcapng      every field of the first packet
  netstrata serve . --capture live.pcapng … & netstrata dump -f live.pcapng
  netstrata dump @serve                   what passes the running node 'serve'
A line says: time, interface, > sent or < received, the layers, [what is wrong],
{what the stack said: why it was dropped or sent again}.`

export function registerDump(program: Command): void {
  program
    .command('dump')
    .description('show the packets of a capture, or of a running node')
    .argument('[source]', "a pcapng or pcap file, '-' for stdin, or @NODE", '-')
    .option('-V, --tree', 'every field of every layer')
    .option('-x, --hex', 'the octets too')
    .option('-f, --follow', 'wait for what is still being written to the file')
    .option('-r, --relative', 'times since the first packet')
    .option('-c, --count <n>', 'stop after n packets', integerArgument(1, Number.MAX_SAFE_INTEGER))
    .option('-i, --interface <name>', 'only packets of this interface')
    .option('-w, --write <file>', 'write the packets to a pcapng file instead of showing them')
    .option('--json', 'one object a line')
    .addHelpText('after', HELP)
    .action(dump)
}

async function dump(source: string, options: DumpOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  const show = options.write === undefined ? printer(output, options) : writer(options.write)
  let left = options.count ?? Number.POSITIVE_INFINITY
  const reader = new CaptureReader()
  try {
    read: for await (const chunk of octetsOf(source, options.follow === true, signal)) {
      for (const record of reader.push(chunk)) {
        if (options.interface !== undefined && record.interface.name !== options.interface) continue
        show.packet(record)
        if (--left <= 0) break read
      }
    }
    if (left > 0 && !signal.aborted) reader.end()
  } finally {
    await show.end()
  }
  if (signal.aborted) process.exitCode = EXIT.interrupted
}

interface Show {
  packet(record: CaptureRecord): void
  end(): Promise<void>
}

function printer(output: Output, options: DumpOptions): Show {
  const time: TimeFormat = options.relative === true ? relativeTime() : clockTime
  return {
    packet(record) {
      const layers = decode(record)
      output.data(json(record, layers, options.hex === true), () => {
        const parts = [line(record, layers, time, output.colors)]
        if (options.tree === true) parts.push(tree(layers, output.colors))
        if (options.hex === true) parts.push(hexDump(record.octets, layers, output.colors))
        return parts.join('\n')
      })
    },
    async end() {},
  }
}

function writer(path: string): Show {
  const sink = captureSink(path)
  const capture = new CaptureWriter(sink.write)
  return { packet: (record) => capture.packet(record), end: sink.close }
}

async function* octetsOf(source: string, following: boolean, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (source.startsWith('@')) {
    for await (const event of follow(source.slice(1), 'capture', signal)) yield Buffer.from(String(event), 'base64')
  } else if (source === '-') {
    yield* untilAborted(process.stdin, signal)
  } else if (following) {
    yield* tail(source, signal)
  } else {
    yield* createReadStream(source)
  }
}

async function* untilAborted(stream: NodeJS.ReadStream, signal: AbortSignal): AsyncGenerator<Uint8Array> {
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
