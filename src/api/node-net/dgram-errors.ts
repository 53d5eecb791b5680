/** Errors that only datagram sockets have. */
import { coded, netError } from './errors.ts'

export function notConnected(): Error {
  return coded(new Error('Not connected'), 'ERR_SOCKET_DGRAM_NOT_CONNECTED')
}

/** @param call of the system; for those of buffer sizes Node has a code of its own, with the system's in `info`. */
export function notBound(call: string): Error {
  const error = netError('EBADF', call, 'the socket is not bound yet')
  if (!call.startsWith('uv_')) return error
  const { syscall, errno } = error
  const why = 'bad file descriptor'
  const told = new Error(`Could not get or set buffer size: ${call} returned EBADF (${why})`)
  const info = { errno, code: 'EBADF', message: why, syscall }
  return Object.assign(coded(told, 'ERR_SOCKET_BUFFER_SIZE'), { name: 'SystemError', info, errno, syscall })
}
