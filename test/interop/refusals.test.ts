/** What a command cannot have: one clear sentence says what to do, the exit code is right, and nothing is left behind. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WITHOUT_KOFFI } from '../layers/physical/without-koffi.ts'
import { freePorts } from '../tools/running.ts'
import { type Finished, namespace, oracle, until } from './helpers.ts'
import { folder } from './payload.ts'

t.setTimeout(600_000)
const root = join(import.meta.dirname, '../..')
/** Root, as far as files go, that may do nothing to networks. */
const POWERLESS = ['setpriv', '--inh-caps=-all', '--bounding-set=-all']
/** In mounts of its own, so that the machine keeps its device. @param device what makes another. */
const withTun = (device: string): string[] => {
  return ['unshare', '-m', 'sh', '-c', `mount -t tmpfs none /dev/net && ${device} && exec "$@"`, 'sh']
}

t.test('a device, a package, an MTU or a port that cannot be had', { skip: oracle('root', 'tun', 'ip') }, async (t) => {
  const ns = namespace(t)
  const place = folder(t)
  const environment = [
    `XDG_RUNTIME_DIR=${place}`,
    `TMPDIR=${place}`,
    `TSX_TSCONFIG_PATH=${root}/tsconfig.json`,
    'NO_COLOR=1',
  ]
  const command = (link: string, ...preload: string[]): string[] => {
    const program = [process.execPath, ...preload, `--import=${import.meta.resolve('tsx')}`, join(root, 'tools/cli.ts')]
    return ['env', ...environment, ...program, 'serve', root, '--link', link, '--address', '10.9.0.2/24']
  }
  const fails = async (line: readonly string[], sentence: RegExp, code = 1): Promise<void> => {
    const ended: Finished = await ns.run(line[0] as string, ...line.slice(1))
    t.match(ended, { code, output: sentence })
    t.equal(ended.output.trim().split('\n').length, code === 1 ? 1 : 4, ended.output)
    t.notMatch(ns.ip('-br', 'link'), /x1/, 'no device')
    t.notOk(readdirSync(place).includes('netstrata'), 'no control socket')
  }
  await fails(
    [...withTun('true'), ...command('tap:x1')],
    /^netstrata: .*\/dev\/net\/tun is missing: load the module \('modprobe tun'\), or give the container that device\n$/,
  )
  await fails(
    [...withTun('mknod -m 0 /dev/net/tun c 10 200'), ...POWERLESS, ...command('tap:x1')],
    /^netstrata: .*no permission to open \/dev\/net\/tun: run as root, or make it readable and writable for this user\n$/,
  )
  await fails(
    [...POWERLESS, ...command('tap:x1')],
    /^netstrata: .*no permission to create the TAP device 'x1': run as root, or have root create it with '.*'\n$/,
  )
  await fails(
    command('tun:x1', `--import=${WITHOUT_KOFFI}`),
    /^netstrata: .*TAP and TUN need the optional package koffi: npm install koffi\n$/,
  )
  await fails(command('udp:7000,mtu=40'), /'mtu' is a number from 68 to \d+, less is too small for IPv4\n/, 2)

  const [port] = await freePorts(1)
  const first = command(`udp:127.0.0.1:${port}`)
  await ns.start(/serving/, first[0] as string, ...first.slice(1))
  await until(() => readdirSync(place).includes('netstrata'), 'its control socket')
  const ended = await ns.run(first[0] as string, ...first.slice(1))
  t.match(ended, {
    code: 1,
    output: `UDP port 127.0.0.1:${port} is in use, by another program or link: free it, or choose another local port\n`,
  })
  t.same(readdirSync(join(place, 'netstrata')), ['serve.sock'], 'that of the first alone')
})
