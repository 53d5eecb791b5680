/** Node's `http` on our sockets, both ends in this process, against itself on `node:net`: 64 connections kept alive. */
import http from 'node:http'
import type net from 'node:net'
import { alternateApart, type Subjects } from './apart.ts'
import { type Bench, figure, type Subject } from './harness.ts'
import { cablePair } from './hosts.ts'

const CONNECTIONS = 64
const BODY = 'Hello from the other end.\n'

export const SUBJECTS: Subjects<'ours' | 'peer'> = { ours: onOurs, peer: onNodes }

export const httpBench: Bench = async (effort, tell) => {
  const rates = await alternateApart(import.meta.url, SUBJECTS, effort)
  const gate = { bench: 'http', unit: 'requests/s', peer: 'node:http on node:net', target: 1 }
  tell(figure({ ...gate, metric: 'keep-alive, 64 connections' }, rates.ours, rates.peer, effort))
}

const server = (): http.Server =>
  http.createServer((_request, response) => {
    response.setHeader('content-length', BODY.length)
    response.end(BODY)
  })

async function onOurs(): Promise<Subject> {
  const { a, b, address } = await cablePair()
  const listening = b.net.attach(server())
  await new Promise<void>((resolve) => listening.listen(80, () => resolve()))
  const agent = a.httpAgent({ keepAlive: true, maxSockets: CONNECTIONS })
  return requests(agent, address, 80, () => listening.close())
}

async function onNodes(): Promise<Subject> {
  const listening = server()
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  const { port } = listening.address() as net.AddressInfo
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  return requests(agent, '127.0.0.1', port, () => listening.close())
}

/** One request after the other on each connection. */
function requests(agent: http.Agent, host: string, port: number, close: () => void): Subject {
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const request = http.get({ agent, host, port, path: '/' }, (response) => {
        let length = 0
        response.on('data', (chunk: Buffer) => {
          length += chunk.length
        })
        response.on('end', () => (length === BODY.length ? resolve() : reject(new Error(`${length} octets of body`))))
      })
      request.on('error', reject)
    })
  return {
    async measure(ms) {
      let done = 0
      const started = performance.now()
      const worker = async (): Promise<void> => {
        while (performance.now() - started < ms) {
          await one()
          done++
        }
      }
      await Promise.all(Array.from({ length: CONNECTIONS }, worker))
      return (done * 1000) / (performance.now() - started)
    },
    async close() {
      agent.destroy()
      close()
    },
  }
}
