/** What is bound. */
import dgram from 'node:dgram'
import { standIn } from './stand-in.ts'
import { nodeFor } from './switch.ts'

export function patchDatagrams(): void {
  const Socket = standIn(dgram.Socket, ([options]) => {
    return nodeFor('dgram', typeof options === 'object' && options !== null ? { ...options } : {})?.dgram.Socket
  })
  const createSocket = (...args: unknown[]): object => Reflect.construct(Socket, args)
  Object.assign(dgram, { Socket, createSocket })
}
