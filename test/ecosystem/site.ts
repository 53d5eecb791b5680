/**
 * Where libraries meet their peers: a node of ours at 10.9.0.2 in this process, and a kernel at 10.9.0.1 behind a TAP, in a
 * network namespace that nothing else leads to. On the kernel's side run the servers and clients that others wrote.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Socket } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { register } from '../../src/register.ts'
import { CERTIFICATE, KEY } from '../api/certificate.ts'
import type { Finished, Oracle } from '../interop/helpers.ts'
import { oracle } from '../interop/helpers.ts'
import { type Stand, stand, THEIRS } from '../interop/stand.ts'
import { LOADER } from '../tools/running.ts'

export { OURS, THEIRS } from '../interop/stand.ts'

poisonReleased(true)

/** Of which `certificate.ts` has the certificate. */
const NAME = 'server.test'
export const TRUST: { readonly ca: string; readonly servername: string } = { ca: CERTIFICATE, servername: NAME }
/** The user of servers that refuse to run as root. */
const NOBODY = 65_534
const PEERS = join(import.meta.dirname, 'peers.ts')

/** Something to carry: nothing in it repeats. */
export const BULK: Buffer = randomBytes(1 << 20)

export interface Site extends Stand {
  /** Paths of a private key, and of its certificate. */
  readonly key: string
  readonly certificate: string
  /** A path in a folder of the test's, that goes with it. */
  path(name: string): string
  /** Writes a file there. @returns its path. */
  write(name: string, text: string, mode?: number): string
  /** Makes a folder there that belongs to nobody. @returns its path. */
  nobodys(name: string): string
  /** Runs a part of peers.ts on the kernel's side, until it ends. */
  peer(...args: readonly string[]): Promise<Finished>
  /** Starts a part of peers.ts there, until the test ends. */
  servePeer(name: string): Promise<void>
}

/** A test with a site of its own, or skipped where the machine lacks these programs. */
export function atSite(
  title: string,
  needs: readonly Oracle[],
  t: Test,
  body: (t: Test, site: Site) => Promise<void>,
): void {
  const skip = oracle('root', 'tun', 'ip', ...needs)
  void t.test(title, { skip, timeout: 120_000 }, async (t) => {
    const before = packetsInUse()
    const site = await build(t)
    await body(t, site)
    await site.node.close()
    t.equal(packetsInUse(), before, 'no packet is left')
  })
}

async function build(t: Test): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'netstrata-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  const path = (name: string): string => join(folder, name)
  const write = (name: string, text: string, mode = 0o644): string => {
    writeFileSync(path(name), text, { mode })
    return path(name)
  }
  const made = await stand(t, 'tap', { hosts: { [NAME]: THEIRS } })
  const program = [process.execPath, LOADER, PEERS] as const
  return {
    ...made,
    key: write('key.pem', `${KEY}\n`, 0o600),
    certificate: write('certificate.pem', `${CERTIFICATE}\n`),
    path,
    write,
    nobodys: (name) => {
      mkdirSync(path(name))
      chownSync(path(name), NOBODY, NOBODY)
      return path(name)
    },
    peer: (...args) => made.kernel.run(...program, ...args),
    servePeer: (name) => made.kernel.start(/ready/, ...program, name),
  }
}

/** Connects through the node; without a host, to the kernel. */
export type Dial = (port: number, host?: string) => Socket

/**
 * Runs a body by the hook that a library has, and again with the whole program's sockets through the node, where the
 * library is used as ever: then `dial` is undefined.
 */
export async function bothWays(
  t: Test,
  site: Site,
  body: (t: Test, dial: Dial | undefined) => Promise<void>,
): Promise<void> {
  await t.test('by its hook', (t) => body(t, (port, host = THEIRS) => site.node.net.connect(port, host)))
  await registered(t, site, (t) => body(t, undefined))
}

/** Runs a body with the whole program's sockets through the node. */
export async function registered(t: Test, { node }: Site, body: (t: Test) => Promise<void>): Promise<void> {
  await t.test('by netstrata/register', async (t) => {
    using _ = register(node)
    await body(t)
  })
}

/** Runs something, and expects it to fail. @returns the error. */
export async function failure(work: () => Promise<unknown>): Promise<Error & { code?: unknown }> {
  try {
    await work()
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}
