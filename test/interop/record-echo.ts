/** Octets sent in records over a connection of the HDLC family, to a peer that sends them back. */
import type { RecordConnection, RecordHandler } from '../../layers/datalink/hdlc/records.ts'
import { Packet } from '../../src/kernel/packet.ts'

export interface EchoOptions {
  readonly octets: number
  readonly recordOctets: number
  /** Octets that may be under way, there and back: a peer that cannot write does not read either. */
  readonly ahead: number
}

export interface Echoed {
  /** Octets that came back as they were sent, each in its place. */
  readonly right: number
  /** Octets that came back. */
  readonly got: number
  /** Why the connection came to its end. */
  readonly downs: readonly string[]
  readonly ms: number
}

const octetAt = (i: number): number => (Math.imul(i, 2_654_435_761) >>> 13) & 0xff

/** The sum of the octets that `echo` sends. */
export function sumOf(octets: number): number {
  let sum = 0
  for (let i = 0; i < octets; i++) sum += octetAt(i)
  return sum
}

/** Sends, compares what comes back, and closes the connection when all of it has. Settles once it is down. */
export function echo(
  open: (handler: RecordHandler) => RecordConnection,
  { octets, recordOctets, ahead }: EchoOptions,
): Promise<Echoed> {
  const downs: string[] = []
  let sent = 0
  let got = 0
  let right = 0
  return new Promise((resolve) => {
    const started = performance.now()
    const send = (connection: RecordConnection): void => {
      const limit = Math.min(octets, got + ahead)
      for (let open = true; open && sent < limit; ) {
        const length = Math.min(recordOctets, octets - sent)
        const packet = Packet.take(connection.headroom, length + connection.tailroom)
        for (let at = packet.put(length); at < packet.end; at++) packet.octets[at] = octetAt(sent++)
        open = connection.send(packet)
      }
    }
    open({
      up: send,
      ready: send,
      down(_connection, reason) {
        downs.push(reason)
        resolve({ right, got, downs, ms: Math.round(performance.now() - started) })
      },
      receive(connection, packet) {
        for (let at = packet.start; at < packet.end; at++) if (packet.octets[at] === octetAt(got++)) right++
        packet.release()
        if (got >= octets) connection.close()
        else send(connection)
      },
    })
  })
}
