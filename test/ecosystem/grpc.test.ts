/** grpc-js, client and server, against the same library on the kernel's side: in clear and in TLS. */
import '../../src/register.ts' // before the libraries: some keep the functions they find when they load

import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { CERTIFICATE, KEY } from '../api/certificate.ts'
import { echoServer, exercise } from './grpc-service.ts'
import { atSite, BULK, OURS, registered, THEIRS } from './site.ts'

const CLEAR = grpc.ServerCredentials.createInsecure()
const SECURE = grpc.ServerCredentials.createSsl(null, [
  { private_key: Buffer.from(KEY), cert_chain: Buffer.from(CERTIFICATE) },
])

atSite("grpc-js's client", [], t, async (t, site) => {
  await site.servePeer('grpc')
  await registered(t, site, async (t) => {
    await t.resolves(exercise(`${THEIRS}:50051`, grpc.credentials.createInsecure(), BULK))
    await t.resolves(exercise(`${THEIRS}:50052`, grpc.credentials.createSsl(Buffer.from(CERTIFICATE)), BULK))
  })
})

atSite("grpc-js's server", [], t, async (t, site) => {
  async function ask(t: Test): Promise<void> {
    t.same(await site.peer('ask-grpc', OURS), { code: 0, output: 'in clear: fine\nin TLS: fine\n' })
  }
  await t.test('by its hook', async (t) => {
    const server = echoServer()
    const { listen } = site.node.net.promises
    const listeners = await Promise.all(
      (
        [
          [50_051, CLEAR],
          [50_052, SECURE],
        ] as const
      ).map(([port, credentials]) => {
        const injector = server.createConnectionInjector(credentials)
        return listen(port, (socket) => injector.injectConnection(socket))
      }),
    )
    await ask(t)
    server.forceShutdown()
    for (const listener of listeners) await new Promise((resolve) => listener.close(resolve))
  })
  await registered(t, site, async (t) => {
    const server = echoServer()
    for (const [port, credentials] of [
      [50_051, CLEAR],
      [50_052, SECURE],
    ] as const) {
      await new Promise<void>((resolve, reject) => {
        server.bindAsync(`0.0.0.0:${port}`, credentials, (error) => (error === null ? resolve() : reject(error)))
      })
    }
    await ask(t)
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()))
  })
})
