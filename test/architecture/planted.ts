/** Files that break one rule each, and files beside them that do not. */

export interface Planted {
  readonly path: string
  readonly text: string
  /** How the one fault reads; null: the file keeps the rules. */
  readonly refused: RegExp | null
}

export const planted: Planted[] = []
const counts = new Map<string, number>()

/** @param path `planted` in it becomes a name of its own. */
function plant(path: string, text: string, refused: RegExp | null): void {
  const count = (counts.get(path) ?? 0) + 1
  counts.set(path, count)
  planted.push({ path: path.replace('planted', `planted-${count}`), text: `${text}\n`, refused })
}

const KERNEL = 'src/kernel/planted.ts'
const IPV4 = 'layers/network/ipv4/planted.ts'
const UDP = 'layers/transport/udp/planted.ts'
const ETHERNET = 'layers/datalink/ethernet/planted.ts'
const CABLE = 'layers/physical/cable/planted.ts'
const TAP = 'layers/physical/tap-device/planted.ts'
const TEST = 'test/planted.test.ts'

// Imports of every form.
const NODE_FS = /:1 may not import node:fs/
plant(KERNEL, `import { readFileSync } from 'node:fs'\nreadFileSync`, NODE_FS)
plant(KERNEL, `import { readFileSync } from "node:fs"\nreadFileSync`, NODE_FS)
plant(KERNEL, `import 'node:fs'`, NODE_FS)
plant(KERNEL, `import fs = require('node:fs')\nfs`, NODE_FS)
plant(KERNEL, `import type { Stats } from 'node:fs'\nexport type S = Stats`, NODE_FS)
plant(KERNEL, `export * from 'node:fs'`, NODE_FS)
plant(KERNEL, `export { readFileSync } from 'node:fs'`, NODE_FS)
plant(KERNEL, `export type S = import('node:fs').Stats`, NODE_FS)
plant(KERNEL, `export const fs = import('node:fs')`, NODE_FS)
plant(KERNEL, 'export const fs = import(`node:fs`)', NODE_FS)
plant(KERNEL, `export const at = import.meta.resolve('node:fs')`, NODE_FS)
plant(KERNEL, `/// <reference types="node" />\nexport {}`, /may not import \/\/\/ node/)
plant(KERNEL, `declare module 'node:fs' {}\nexport {}`, NODE_FS)
plant(KERNEL, `export const load = (name: string) => import(name)`, /loads a module whose name is computed/)
plant(
  TAP,
  `import { createRequire } from 'node:module'\ncreateRequire(import.meta.url)('koffi')`,
  /:2 may not import koffi/,
)
plant(
  TAP,
  `import { createRequire } from 'node:module'\nconst require = createRequire('/')\nrequire('koffi')`,
  /:3 may not import koffi/,
)
plant(TAP, `export const sqlite = process.getBuiltinModule('sqlite')`, /may not import sqlite/)

// Who may know whom.
plant(KERNEL, `import './env.ts'`, null)
plant(KERNEL, `import '../api/routes.ts'`, /may not import src\/api\/routes\.ts: the kernel/)
plant('src/api/planted.ts', `import 'node:stream'`, /may not import node:stream: the API/)
plant('src/api/planted.ts', `import '../../layers/network/service.ts'`, /may not import layers\/network\/service/)
plant('src/api/node-planted.ts', `import 'node:stream'`, null)
plant('src/capture/planted.ts', `import 'node:fs'`, /may not import node:fs: the capture/)
plant('src/runtime/planted.ts', `import '../index.ts'`, /may not import src\/index\.ts: the runtimes/)
plant('src/runtime/planted.ts', `import '../../layers/physical/service.ts'`, /may not import layers/)
plant('src/testing/planted.ts', `import '../../tools/cli.ts'`, /may not import tools\/cli\.ts: the front doors/)
plant(
  'layers/offload/planted.ts',
  `import '../network/service.ts'`,
  /may not import layers\/network\/service\.ts: the offload/,
)
plant(CABLE, `import '../hub.ts'`, /may not import layers\/physical\/hub\.ts/)
plant(CABLE, `import '../cable.ts'`, null)
plant(CABLE, `import 'node:fs'`, /may not import node:fs: a medium that needs no machine/)
plant(TAP, `import '../cable.ts'`, /may not import layers\/physical\/cable\.ts/)
plant('layers/physical/serial/planted.ts', `import '../tun-port.ts'`, /may not import layers\/physical\/tun-port/)
plant(TAP, `import 'koffi'`, /may not import koffi/)
plant(TAP, `import '../libc.ts'\nimport 'node:net'`, null)
plant(TAP, `import '../../datalink/service.ts'`, /may not import layers\/datalink\/service/)
plant('layers/physical/raw-ip/planted.ts', `import 'raw-socket'`, null)
plant('layers/physical/libc/planted.ts', `import 'koffi'`, null)
plant(ETHERNET, `import { crc32 } from '#crc32'\ncrc32`, null)
plant(ETHERNET, `import '../../physical/service.ts'`, null)
plant(ETHERNET, `import '../../physical/cable.ts'`, /may not import layers\/physical\/cable/)
plant(ETHERNET, `import '../hdlc/hdlc.ts'`, /may not import layers\/datalink\/hdlc/)
plant(ETHERNET, `import '../framing/framing.ts'`, null)
plant(ETHERNET, `import '../../offload/segment.ts'`, /may not import layers\/offload/)
plant('layers/datalink/ethernet/bridge-planted.ts', `import '../../offload/segment.ts'`, null)
plant('layers/datalink/ethernet/bridge-planted.ts', `import '../direct.ts'`, /may not import .*direct.ts: a bridge/)
plant(ETHERNET, `import '@noble/hashes/legacy.js'`, /may not import @noble\/hashes/)
plant('layers/datalink/ppp/planted.ts', `import '@noble/hashes/legacy.js'`, null)
plant('layers/datalink/ppp/planted.ts', `import '../ethernet/frame.ts'`, /may not import layers\/datalink\/ethernet/)
plant('layers/datalink/framing/planted.ts', `import '../ppp/ppp.ts'`, /may not import layers\/datalink\/ppp/)
plant('layers/physical/octets/planted.ts', `import '../tap-device.ts'`, /may not import layers\/physical\/tap-device/)
plant(ETHERNET, `import '../direct.ts'`, /may not import layers\/datalink\/direct/)
plant(ETHERNET, `import '../../network/service.ts'`, /may not import layers\/network\/service/)
plant(ETHERNET, `import 'node:zlib'`, /may not import node:zlib/)
plant(IPV4, `import '../../datalink/service.ts'\nimport '../routes.ts'\nimport '../../offload/segment.ts'`, null)
plant(IPV4, `import '../../datalink/ethernet/ethernet.ts'`, /may not import layers\/datalink\/ethernet/)
plant(IPV4, `import '../../physical/service.ts'`, /may not import layers\/physical\/service/)
plant(IPV4, `import '../ipv6/ipv6.ts'`, /may not import layers\/network\/ipv6/)
plant(IPV4, `import '../../transport/service.ts'`, /may not import layers\/transport\/service/)
plant(IPV4, `import '../../../src/api/sockets.ts'`, /may not import src\/api\/sockets/)
plant(UDP, `import '../../network/service.ts'\nimport '../../../src/api/sockets.ts'`, null)
plant(UDP, `import '../../datalink/service.ts'`, /may not import layers\/datalink\/service/)
plant(UDP, `import '../tcp/tcp.ts'`, /may not import layers\/transport\/tcp/)
plant('layers/transport/sockets.ts', `import './tcp/tcp.ts'`, /may not import layers\/transport\/tcp/)
plant(UDP, `import 'netstrata'`, /may not import netstrata/)
plant(UDP, `import '../../../node_modules/crc/mjs/crc32.js'`, /may not import node_modules/)
plant(UDP, `import '../../../src/runtime/simulation.ts'`, /may not import src\/runtime/)
const ROUTING = 'layers/middleware/routing/babel/planted.ts'
plant(ROUTING, `import '../../../../src/api/routes.ts'\nimport 'node:crypto'\nimport '@noble/hashes/blake2.js'`, null)
plant(ROUTING, `import '../../../transport/sockets.ts'`, /may not import layers\/transport\/sockets/)
plant(
  'layers/middleware/dhcp/planted.ts',
  `import '../routing/babel/machine.ts'`,
  /may not import .*: middleware stands on the API/,
)
plant('layers/middleware/dhcp/planted.ts', `import '../../../src/api/sockets.ts'`, null)
plant(ROUTING, `import '../rip/machine.ts'`, /may not import layers\/middleware\/routing\/rip/)
plant(ROUTING, `import 'node:dgram'`, /may not import node:dgram: a routing protocol/)
plant('test/packetdrill/planted.ts', `import '../../src/index.ts'`, null)
plant(
  'test/packetdrill/planted.ts',
  `import '../../layers/transport/tcp/tcp.ts'`,
  /may not import layers\/transport\/tcp/,
)
plant('tools/planted.ts', `import '../layers/transport/udp/udp.ts'\nimport 'node:fs'`, null)
plant('test/planted/elsewhere.ts', `import(String(1))`, null)
plant('layers/session/planted.ts', 'export {}', /:1 is in no folder of the design/)

// Time, chance and the machine.
const USES = (name: string): RegExp => new RegExp(`may not use the global ${name}`)
plant(IPV4, 'export const at = Date.now()', USES('Date'))
plant(IPV4, 'export const at = new Date()', USES('Date'))
plant(IPV4, 'export const at = performance.now()', USES('performance'))
plant(IPV4, 'setTimeout(() => {}, 1)', USES('setTimeout'))
plant(IPV4, 'queueMicrotask(() => {})', USES('queueMicrotask'))
plant(IPV4, `export const date = globalThis['Date']`, USES('globalThis'))
plant(IPV4, `export const { pid } = process`, USES('process'))
plant(IPV4, `export const all = { process }`, USES('process'))
plant(
  IPV4,
  `declare const process: { pid: number }\nexport const { pid } = process`.replace(
    '\nexport const { pid } = process',
    '\nexport {}',
  ),
  USES('process'),
)
plant(IPV4, `declare global {}\nexport {}`, USES('global'))
plant(IPV4, `export class Late extends Date {}`, USES('Date'))
plant(IPV4, `export const f = (at = Date) => at`, USES('Date'))
plant(IPV4, `export const { at = Date } = { at: undefined }`, USES('Date'))
plant(IPV4, 'export const text = `$' + '{performance}`', USES('performance'))
plant(IPV4, `export const code = eval('1')`, USES('eval'))
plant(IPV4, `export const code = new Function('return process')`, USES('Function'))
plant(IPV4, `export function f(process: number): number {\n  return process\n}\nprocess`, USES('process'))
plant(IPV4, 'export const at = undeclared.now()', USES('undeclared'))
plant(IPV4, 'Math.random()', /may use Math\.abs/)
plant(IPV4, `export const chance = Math['random']`, /may use Math\.abs/)
plant(IPV4, `export const { random } = Math`, /may use Math\.abs/)
plant(IPV4, `export const arithmetic = Math`, /may use Math\.abs/)
plant(IPV4, `export const wait = Promise.resolve()`, USES('Promise'))
plant(ROUTING, `export const at = Date.now()`, /may not use the global Date/)
plant(IPV4, `export async function wait(): Promise<void> {}`, /waits: below the sockets API/)
plant(IPV4, `export const later = async () => {}`, /waits: below the sockets API/)
plant(CABLE, `export const at = Date.now()`, USES('Date'))
plant(KERNEL, `export const at = Date.now()`, USES('Date'))
plant(KERNEL, `declare const WebAssembly: { readonly Memory: unknown }\nexport const { Memory } = WebAssembly`, null)
plant('src/api/node-planted.ts', `export const at = Date.now()`, USES('Date'))
plant(
  'src/api/node-planted.ts',
  `export class Socket { setTimeout(ms: number): Buffer { return Buffer.alloc(ms) } }`,
  null,
)
plant('src/api/planted.ts', `export const b = Buffer.alloc(1)`, USES('Buffer'))
plant('src/api/planted.ts', `export async function wait(signal: AbortSignal): Promise<void> { signal.aborted }`, null)
plant(TAP, `export const at = Date.now()`, null)
plant('tools/planted.ts', `export const at = process.hrtime()`, null)
plant(
  IPV4,
  `export interface Date { process: number }
   export type Clock = typeof performance & Promise<Buffer>
   export const value: Clock | { process: Math } = { process: Math.abs(-1) } as never
   export function process(o: { Date: number }): number { const { Date } = o; label: for (;;) break label; return Date }
   export class Clocks { Date = 1; process(): number { return this.Date } }
   interface Math { x: number }`,
  null,
)

// Size.
plant(KERNEL, `${'\n'.repeat(449)}export {}`, null)
plant(KERNEL, `${'\n'.repeat(450)}export {}`, /has 451 lines, more than 450/)

// Tests.
const TAPS = `import t from 'tap'\n`
plant(TEST, `${TAPS}t.ok(1)`, null)
plant(TEST, `${TAPS}t.comment('nothing')`, /:1 asserts nothing/)
plant(
  TEST,
  `${TAPS}t.ok(1)\nt.test('nothing', async (t) => { t.comment('nothing') })`,
  /:3 has a test that asserts nothing/,
)
plant(TEST, `${TAPS}t.test('a', async (t) => { for (const x of [1]) t.equal(x, 1) })`, null)
plant(
  TEST,
  `${TAPS}declare function suite(o: unknown): void\nt.test('a', async (t) => suite(t))\nt.test('b', async (t) => suite({ t }))`,
  null,
)
plant(TEST, `${TAPS}t.ok(1)\nt.test('a', { only: true }, async (t) => { t.ok(1) })`, /:3 narrows the tests with only/)
plant(TEST, `${TAPS}t.only('a', async (t) => { t.ok(1) })`, /:2 narrows the tests with only/)
plant(TEST, `${TAPS}t.test('a', { skip: true }, async (t) => { t.ok(1) })`, /:2 skips without a reason/)
plant(TEST, `${TAPS}t.test('a', { skip: 'needs iperf3' }, async (t) => { t.ok(1) })`, null)
plant(
  TEST,
  `${TAPS}declare const missing: string | false\nt.test('a', { skip: missing }, async (t) => { t.ok(1) })`,
  null,
)
plant(TEST, `${TAPS}t.ok(1)\nt.skip()`, /:3 skips without a reason/)
plant(TEST, `${TAPS}t.ok(1)\nt.todo('', async () => {})`, /:3 todos without a reason/)
plant(TEST, `${TAPS}t.ok(1)\nt.skip('needs iperf3')`, null)
plant(TEST, `${TAPS}t.comment('x'.match(/x/))`, /:1 asserts nothing/)
plant(TEST, `${TAPS}t.ok(1)\nt.test('a', async () => { 'x'.match(/x/) })`, /:3 has a test that asserts nothing/)
plant(TEST, `${TAPS}declare const script: { skip(): void }\nt.ok(1)\nscript.skip()`, null)
plant(
  TEST,
  `${TAPS}declare class Script { constructor(o: unknown) }\nt.test('a', async (t) => { new Script(t) })`,
  null,
)
