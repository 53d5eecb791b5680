/** What is bound. */
import dgram from 'node:dgram'
import { standIn } from './stand-in.ts'
import { isMarked, nodeInForce } from './switch.ts'

export function patchDatagrams(): void {
  const Socket = standIn(dgram.Socket, ([options]) => {
    const isHosts = typeof options === 'object' && options !== null && isMarked(options)
    return isHosts ? undefined : nodeInForce()?.dgram.Socket
  })
  const createSocket = (...args: unknown[]): object => Reflect.construct(Socket, args)
  Object.assign(dgram, { Socket, createSocket })
}
