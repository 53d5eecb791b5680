/**
 * What watches a daemon asks it over HTTP, on a port of this machine:
 *
 *   GET /metrics   figures for Prometheus
 *   GET /healthz   200 while it runs
 *   GET /readyz    200 while it forwards, else 503; also says which links are down
 */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HostPort } from '../stack/link-spec.ts'
import type { Daemon } from './daemon.ts'
import { routerMetrics } from './metrics.ts'

/** A server that runs. */
export interface Health {
  /** Where: it may have been told to choose a port. */
  readonly port: number
  close(): Promise<void>
}

/** A scrape comes at most every few seconds: whoever holds on longer only holds a socket. */
const IDLE_MS = 10_000

/** @throws Error EADDRINUSE, EACCES — the port cannot be had. */
export async function serveHealth(daemon: Daemon, { host, port }: HostPort): Promise<Health> {
  const registry = routerMetrics(daemon)
  const answers: Readonly<Record<string, (response: ServerResponse) => void | Promise<void>>> = {
    '/metrics': async (response) => {
      try {
        const text = await registry.metrics()
        response.writeHead(200, { 'content-type': registry.contentType }).end(text)
      } catch (error) {
        json(response, 500, { error: String(error) })
      }
    },
    '/healthz': (response) => json(response, 200, { healthy: true }),
    '/readyz': (response) => {
      const down = daemon.router.node.top.network.links().filter(({ state }) => state === 'down')
      json(response, daemon.ready ? 200 : 503, { ready: daemon.ready, linksDown: down.map(({ name }) => name) })
    },
  }
  const server = createServer({ keepAliveTimeout: IDLE_MS, requestTimeout: IDLE_MS }, (request, response) => {
    const path = request.url?.replace(/\?.*/, '') ?? ''
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined
    if (answer === undefined) json(response, 404, { error: `there are: ${Object.keys(answers).join(', ')}` })
    else if (request.method !== 'GET' && request.method !== 'HEAD') json(response, 405, { error: 'only GET and HEAD' })
    else void answer(response)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}
