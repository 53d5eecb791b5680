/** TCP Fast Open as Linux offers it: sendto() with MSG_FASTOPEN, and TCP_FASTOPEN_CONNECT, whose SYN waits for the first write. */
import type { Connection } from '../../../src/index.ts'
import { type Attempt, at, failed, type Outcome, outcomeOf } from './outcome.ts'
import type { LinuxSocket } from './socket.ts'

/** Bits of net.ipv4.tcp_fastopen. */
export const FAST_OPEN = {
  client: 0x1,
  server: 0x2,
  clientWithoutCookie: 0x4,
  serverWithoutCookie: 0x200,
  listeners: 0x400,
}

/** Opens a connection of the socket's, with the option `fastOpen`. @throws as `stream.connect` does. */
export type Open = () => Connection

/** connect() with TCP_FASTOPEN_CONNECT. @returns undefined where there is no cookie: it connects like any other. */
export function deferConnect(socket: LinuxSocket, open: Open): Outcome | undefined {
  try {
    // One that is closed before its turn is over sends nothing.
    const trial = open()
    const known = trial.writableOctets > 0
    trial.handler = {}
    trial.close()
    if (!known) return undefined
  } catch (error) {
    return outcomeOf(error)
  }
  socket.deferred = true
  return { result: 0 }
}

/** Connects and writes at once: what does not go with the SYN is not taken, or waits for the connection. */
export function sendOpening(socket: LinuxSocket, octets: Uint8Array, mayWait: boolean, open: Open): Attempt {
  let done = 0
  try {
    const connection = open()
    socket.connection = connection
    socket.deferred = false
    done = connection.write(octets)
  } catch (error) {
    return at(outcomeOf(error))
  }
  if (!mayWait) return at(done > 0 ? { result: done } : failed('EINPROGRESS'))
  socket.continueWrite = () => {
    const { connection } = socket
    // What the SYN-ACK leaves of the SYN's data goes again first, on its own.
    if (connection === undefined || (done > 0 && !connection.info().synDataAccepted)) return
    done += connection.write(octets, done)
  }
  return () => {
    const { connection } = socket
    if (socket.over && !socket.established) return failed(socket.takeError() ?? 'ECONNABORTED')
    if (!socket.established || connection === undefined) return undefined
    socket.connected = true
    done += connection.write(octets, done)
    if (done < octets.length) return undefined
    socket.continueWrite = undefined
    return { result: done }
  }
}
