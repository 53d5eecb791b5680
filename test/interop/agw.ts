/**
 * A program of a TNC's own connections, by the protocol of AGWPE over TCP: it registers a call sign, and sends what it hears
 * over connections back over them.
 *
 *   octets   0      4      6     8         18      28       32     36
 *            ├──────┼──────┼─────┼─────────┼───────┼────────┼──────┼─────────────┤
 *            │ port │ kind │ PID │ from    │ to    │ length │ user │ data        │   numbers: least significant octet first
 *            └──────┴──────┴─────┴─────────┴───────┴────────┴──────┴─────────────┘
 *   kinds    X register   C connect, or connected   D data   d disconnect, or disconnected
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Cleaning } from './helpers.ts'

const HEADER_OCTETS = 36
const PID_TEXT = 0xf0

/** A TNC's program, which echoes. */
export interface Echo {
  /** What it was told of connections: 'NODEC *** CONNECTED With …'. */
  readonly told: readonly string[]
  /** Sets a connection up, over which it says `text`. */
  call(peer: string, text: string): void
}

/** Starts one that has the call sign; it ends with the test. */
export async function agwEcho(t: Cleaning, port: number, call: string): Promise<Echo> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const told: string[] = []
  const toSay = new Map<string, string>()
  frames(socket, (kind, from, data) => {
    if (kind === 'D') socket.write(frameOf('D', call, from, data))
    else if (kind === 'C' || kind === 'd') told.push(`${from} ${data.toString('latin1').replace(/[\r\0]+$/, '')}`)
    if (kind !== 'C') return
    const text = toSay.get(from)
    if (toSay.delete(from)) socket.write(frameOf('D', call, from, Buffer.from(text ?? '')))
  })
  socket.write(frameOf('X', call, ''))
  return {
    told,
    call(peer, text) {
      toSay.set(peer, text)
      socket.write(frameOf('C', call, peer))
    },
  }
}

function frameOf(kind: string, from: string, to: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER_OCTETS)
  header.write(kind, 4, 'latin1')
  header[6] = PID_TEXT
  header.write(from, 8, 'latin1')
  header.write(to, 18, 'latin1')
  header.writeUInt32LE(data.length, 28)
  return Buffer.concat([header, data])
}

function frames(socket: Socket, take: (kind: string, from: string, data: Buffer) => void): void {
  let read: Buffer = Buffer.alloc(0)
  socket.on('error', () => {}) // The TNC has ended.
  socket.on('data', (chunk: Buffer) => {
    read = Buffer.concat([read, chunk])
    while (read.length >= HEADER_OCTETS) {
      const end = HEADER_OCTETS + read.readUInt32LE(28)
      if (read.length < end) return
      const from = read.toString('latin1', 8, 18).replace(/\0.*$/s, '')
      take(String.fromCharCode(read[4] as number), from, read.subarray(HEADER_OCTETS, end))
      read = read.subarray(end)
    }
  })
}
