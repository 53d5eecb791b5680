/** ssh2: its client against OpenSSH's server, and OpenSSH's client against its server. */
import '../../src/register.ts' // before the libraries: some keep the functions they find when they load

import { readFileSync } from 'node:fs'
import { buffer, text } from 'node:stream/consumers'
import ssh2, {
  type Client,
  type ClientChannel,
  type ConnectConfig,
  type Connection,
  type ServerConfig,
  type SFTPWrapper,
} from 'ssh2'
import t, { type Test } from 'tap'
import { once } from '../api/events.ts'
import { openssh } from './servers.ts'
import { atSite, BULK, bothWays, failure, OURS, registered, THEIRS } from './site.ts'

atSite("ssh2's client and OpenSSH", ['sshd', 'ssh'], t, async (t, site) => {
  await openssh(site)
  await bothWays(t, site, async (t, dial) => {
    const options: ConnectConfig = { username: 'root', privateKey: readFileSync(site.path('id')) }
    const connected = (more: ConnectConfig): Promise<Client> =>
      new Promise((resolve, reject) => {
        const client = new ssh2.Client()
        client.once('ready', () => resolve(client)).once('error', reject)
        client.connect({ ...options, ...(dial === undefined ? { host: THEIRS } : { sock: dial(22) }), ...more })
      })
    const client = await connected({})
    t.equal(await text(await execute(client, 'echo "$SSH_CONNECTION" | cut -d" " -f1,3')), `${OURS} ${THEIRS}\n`)
    const echo = await execute(client, 'cat')
    echo.end(BULK)
    t.ok(BULK.equals(await buffer(echo)), 'a large input there and back')
    const many = Array.from({ length: 8 }, async (_, i) => text(await execute(client, `echo ${i}`)))
    t.same(await Promise.all(many), ['0\n', '1\n', '2\n', '3\n', '4\n', '5\n', '6\n', '7\n'])

    const files = await new Promise<SFTPWrapper>((resolve, reject) =>
      client.sftp((error, sftp) => (error === undefined ? resolve(sftp) : reject(error))),
    )
    await new Promise<void>((resolve, reject) =>
      files.writeFile(site.path('file'), BULK, (error) => (error ? reject(error) : resolve())),
    )
    t.ok(BULK.equals(readFileSync(site.path('file'))), 'a file there')
    t.ok(
      BULK.equals(
        await new Promise<Buffer>((resolve, reject) =>
          files.readFile(site.path('file'), (error, octets) => (error ? reject(error) : resolve(octets))),
        ),
      ),
      'and back',
    )
    const closed = once(client, 'close')
    client.end()
    await closed
    const other = ssh2.utils.generateKeyPairSync('ed25519')
    t.match(await failure(() => connected({ privateKey: other.private })), { level: 'client-authentication' })
  })
})

function execute(client: Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) =>
    client.exec(command, (error, channel) => (error === undefined ? resolve(channel) : reject(error))),
  )
}

atSite("OpenSSH's client and a server of ssh2", ['ssh'], t, async (t, site) => {
  const config: ServerConfig = { hostKeys: [ssh2.utils.generateKeyPairSync('ed25519').private] }
  async function ask(t: Test): Promise<void> {
    const quietly = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes']
    const options = quietly.flatMap((option) => ['-o', option])
    const { output } = await site.kernel.run('ssh', ...options, `guest@${OURS}`, 'bulk')
    t.equal(output, BULK.toString('base64'), 'what the command says')
    const refused = await site.kernel.run('ssh', ...options, `stranger@${OURS}`, 'bulk')
    t.equal(refused.code, 255)
    t.match(refused.output, /Permission denied/)
  }
  await t.test('by its hook', async (t) => {
    const server = new ssh2.Server(config, welcome)
    const listening = await site.node.net.promises.listen(22, (socket) => server.injectSocket(socket))
    await ask(t)
    await new Promise((resolve) => listening.close(resolve))
  })
  await registered(t, site, async (t) => {
    const server = new ssh2.Server(config, welcome)
    await new Promise<void>((resolve) => server.listen(22, resolve))
    await ask(t)
    await new Promise((resolve) => server.close(resolve))
  })
})

/** Lets a guest in, and answers every command with the same. */
function welcome(client: Connection): void {
  client.on('authentication', (wish) => (wish.username === 'guest' ? wish.accept() : wish.reject()))
  client.on('error', () => {}) // OpenSSH goes without a word where it is not let in.
  client.on('session', (accept) =>
    accept().on('exec', (accept) => {
      const channel = accept()
      channel.write(BULK.toString('base64'), () => {
        channel.exit(0)
        channel.end()
      })
    }),
  )
}
