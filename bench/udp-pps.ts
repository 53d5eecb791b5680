/** Our UDP sockets over a cable in this process, 64 octets, against `node:dgram` in one process. */
import dgram from 'node:dgram'
import { alternateApart, type Subjects } from './apart.ts'
import { Counter, type Flow, perSecond } from './datagrams.ts'
import { type Bench, figure, type Subject } from './harness.ts'
import { cablePair } from './hosts.ts'

const PAYLOAD = new Uint8Array(64).fill(7)

export const SUBJECTS: Subjects<'net' | 'small' | 'peer'> = {
  net: throughOurs,
  small: throughSmall,
  peer: () => throughDgram(dgram, dgram, '127.0.0.1'),
}

export const udpPps: Bench = async (effort, tell) => {
  const rates = await alternateApart(import.meta.url, SUBJECTS, effort)
  const gate = { bench: 'udp-pps', unit: 'datagrams/s', peer: 'node:dgram, one process', target: 8 }
  tell(figure({ ...gate, metric: '64 octets, node.dgram' }, rates.net, rates.peer, effort))
  tell(figure({ ...gate, metric: '64 octets, small API' }, rates.small, rates.peer, effort))
}

/** A part of `node:dgram` that ours has, too. */
interface DgramLike {
  createSocket(type: 'udp4'): dgram.Socket
}

async function throughOurs(): Promise<Subject> {
  const { a, b, address } = await cablePair()
  return throughDgram(a.dgram as unknown as DgramLike, b.dgram as unknown as DgramLike, address)
}

async function throughDgram(from: DgramLike, to: DgramLike, host: string): Promise<Subject> {
  const counter = new Counter()
  const receiver = to.createSocket('udp4').on('message', (octets) => {
    if (octets.length === PAYLOAD.length) counter.received++
  })
  await new Promise<void>((resolve) => receiver.bind(0, host, resolve))
  const sender = from.createSocket('udp4')
  await new Promise<void>((resolve) => sender.connect(receiver.address().port, host, resolve))
  const flow: Flow = {
    send() {
      sender.send(PAYLOAD)
      return true
    },
    close() {
      sender.close()
      receiver.close()
    },
  }
  return perSecond(flow, counter)
}

async function throughSmall(): Promise<Subject> {
  const { a, b, ip } = await cablePair()
  const counter = new Counter()
  const receiver = b.top.datagram.bind(
    {},
    {
      message(_socket, _octets, _start, length) {
        if (length === PAYLOAD.length) counter.received++
      },
    },
  )
  const sender = a.top.datagram.bind({}, {})
  sender.connect(ip, receiver.local.port)
  const flow: Flow = {
    send: () => sender.send(PAYLOAD, 0, PAYLOAD.length),
    close() {
      sender.close()
      receiver.close()
    },
  }
  return perSecond(flow, counter)
}
