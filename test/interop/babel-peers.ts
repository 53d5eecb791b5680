/** Routers of others that speak Babel, in namespaces: babeld, and bird with authentication. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cleaning, type Namespace, namespace } from './helpers.ts'

/** The key of bird's side: 32 octets in hexadecimal digits. */
export const KEY = '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff'

/** Starts a daemon that says nothing when it is ready. */
const begin = (inside: Namespace, ...command: readonly string[]): Promise<void> =>
  inside.start(/started/, 'sh', '-c', 'echo started; exec "$@"', 'sh', ...command)

/** Asks until it holds, for `limitMs`. @returns whether it came to hold. */
export async function comes(holds: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    if (await holds()) return true
    await sleep(200)
  }
  return false
}

/** Whether one echo request is answered: a question for `comes`. */
export const pings = (from: Namespace, source: string, to: string) => async (): Promise<boolean> =>
  (await from.run('ping', '-c', '1', '-W', '1', '-I', source, to)).code === 0

/** Where babeld answers what it knows: `echo dump | socat - TCP6:[::1]:33123` in its namespace. */
export const STATE_PORT = 33_123

/** babeld on a device; it announces the namespace's addresses 10.255.0.0/16 and fd00:255::/32. */
export function babeld(inside: Namespace, folder: string, device: string): Promise<void> {
  const local = ['ip 10.255.0.0/16', 'ip fd00:255::/32', 'deny'].flatMap((rule) => ['-C', `redistribute local ${rule}`])
  return begin(
    inside,
    'babeld',
    ...[
      '-I',
      join(folder, 'babeld.pid'),
      '-S',
      join(folder, 'babeld.state'),
      '-h',
      '1',
      '-H',
      '1',
      '-g',
      `${STATE_PORT}`,
    ],
    ...['-C', 'default type wired', ...local, device],
  )
}

/**
 * bird on a device, authenticated by `KEY`; it announces what is on the loopback.
 * @returns the path of its control socket.
 */
export async function bird(
  inside: Namespace,
  folder: string,
  device: string,
  algorithm: BirdAlgorithm,
): Promise<string> {
  const control = join(folder, 'bird.ctl')
  const file = birdFile(folder, device, algorithm, [KEY])
  await begin(inside, 'bird', '-f', '-c', file, '-s', control, '-P', join(folder, 'bird.pid'))
  return control
}

/** Exchanges the keys of a bird that runs. @param control what `bird` returned. */
export async function rekeyBird(
  inside: Namespace,
  folder: string,
  device: string,
  algorithm: BirdAlgorithm,
  keys: readonly string[],
  control: string,
): Promise<void> {
  birdFile(folder, device, algorithm, keys)
  await inside.run('birdc', '-s', control, 'configure')
}

type BirdAlgorithm = 'hmac sha256' | 'blake2s128'

/** @param keys in hexadecimal digits. @returns the path of bird's file. */
function birdFile(folder: string, device: string, algorithm: BirdAlgorithm, keys: readonly string[]): string {
  const file = join(folder, 'bird.conf')
  const passwords = keys.map((key) => `password ${key.replace(/(..)(?!$)/g, '$1:')} { algorithm ${algorithm}; };`)
  writeFileSync(
    file,
    `router id 10.255.0.3;
     protocol device { scan time 1; }
     protocol direct { ipv4; ipv6; interface "lo"; }
     protocol kernel { ipv4 { export where source = RTS_BABEL; }; }
     protocol kernel { ipv6 { export where source = RTS_BABEL; }; }
     protocol babel {
       interface "${device}" {
         type wired; hello interval 1 s; update interval 4 s;
         authentication mac; ${passwords.join(' ')}
       };
       ipv4 { import all; export all; };
       ipv6 { import all; export all; };
     }`,
  )
  return file
}

/** A router of the kernel's, with addresses of its own that are to be found by others: 10.255.0.N and fd00:255::N. */
export async function kernelRouter(t: Cleaning, number: number): Promise<Namespace> {
  const router = namespace(t)
  await router.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  await router.run('sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0')
  router.ip('addr', 'add', `10.255.0.${number}/32`, 'dev', 'lo')
  router.ip('addr', 'add', `fd00:255::${number}/128`, 'dev', 'lo')
  return router
}

/** The TLVs of Babel in a capture, and whether tshark finds a packet malformed. */
export interface BabelSeen {
  readonly packets: number
  readonly malformed: number
  readonly types: ReadonlySet<string>
}

/** Has tshark read what Babel said in a capture. */
export async function babelIn({ run }: Namespace, capture: string): Promise<BabelSeen> {
  const fields = ['-T', 'fields', '-e', 'babel.message.type', '-e', '_ws.malformed']
  const { output } = await run('tshark', '-n', '-r', capture, '-Y', 'babel || _ws.malformed', ...fields)
  const lines = output.split('\n').filter((line) => /^[\d,]*\t/.test(line))
  return {
    packets: lines.length,
    malformed: lines.filter((line) => !line.endsWith('\t')).length,
    types: new Set(lines.flatMap((line) => (line.split('\t')[0] ?? '').split(','))),
  }
}
