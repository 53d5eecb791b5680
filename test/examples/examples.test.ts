/** Every example runs to its end and says what it promises. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freePorts, LOADER } from '../tools/running.ts'

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../examples')

t.setTimeout(600_000)

/** What each prints; those that need a kernel on the other side are left to the interop tests. */
const expected: Readonly<Record<string, RegExp>> = {
  'bridge.ts': /^reply from 10\.0\.0\.3\n(?:02:00:00:00:00:0\d is behind p\d\n){3}$/,
  'capture.ts': /^\d+ packets\n[\s\S]*dropped by [AB]\/eth0\/impair: loss\n[\s\S]*retransmit: /,
  'custom-layer.ts': /^reply through a layer of our own\n$/,
  'dhcp-lan.ts':
    /^laptop: 10\.0\.0\.1\d\d\/24\nprinter: 10\.0\.0\.7\/24\nthe printer is ready\nthree days later: 2 leases\n$/,
  'dual-stack.ts': /^you are ::ffff:10\.0\.1\.2\nyou are fd00:1::[\da-f:]+\n$/,
  'gateway-intercept.ts':
    /you wanted 93\.184\.216\.34:80\n[\s\S]*port 22: ECONNREFUSED\n|port 22: ECONNREFUSED\n[\s\S]*you wanted/,
  'http-over-udp.ts': /^you asked 10\.0\.0\.2\n$/,
  'ipv6-uplink.ts':
    /^wan: 2001:db8:1:[\da-f:]+\/64\nlan: 2001:db8:2::1\/64\neverywhere else: ::\/0 by wan, from ra\nfrom the laptop: reply\n$/,
  'multicast.ts': /^hall hears \S+: it is noon\ntower hears \S+: it is noon\nhall hears \S+: it is midnight\n$/,
  'nat-gateway.ts':
    /^(?:you are 203\.0\.113\.1\n){2}this is the television\nout: matched\nanswers: matched\nweb: matched\n[\s\S]*the television: EHOSTUNREACH\n$/,
  'ppp-over-noise.ts':
    /^the client was given 10\.0\.0\.2 [\s\S]*\n200000 octets after \d+ s\nframes with a bad FCS at the client: [1-9]/,
  'register.ts': /^hello, 10\.0\.0\.1\n$/,
  'rip-and-babel.ts':
    /^(?:RIP: {3}10\.\d\.0\.0\/\d+ by \S+, [126]\n){4}(?:Babel: .*, (?:0|96)\n){4}from one to the other: reply\n10\.8\.0\.0\/16 at old: no way\n$/,
  'simulate-partition.ts': /^500000 octets arrived exactly after [2-9]\d\.\d s of virtual time\n$/,
  'tls-and-websocket.ts': /^hello, said the other host\n$/,
}
const elsewhere: ReadonlySet<string> = new Set(['iperf3-server.ts', 'tap-http-server.ts'])

t.test('each example is run somewhere', async (t) => {
  const all = readdirSync(folder).filter((file) => file.endsWith('.ts'))
  t.same(
    all.filter((file) => !(file in expected) && !elsewhere.has(file)),
    [],
  )
})

for (const [file, output] of Object.entries(expected)) {
  t.test(file, async (t) => {
    // Ports that nobody uses now, for the one that wants some.
    const ports = file === 'http-over-udp.ts' ? (await freePorts(2)).map(String) : []
    const args = [LOADER, join(folder, file), ...ports]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    let complained = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk
    })
    child.stderr.on('data', (chunk: Buffer) => {
      complained += chunk
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), 300_000)
    const code = await new Promise((resolve) => child.on('close', resolve))
    clearTimeout(timer)
    t.equal(code, 0, complained)
    t.match(said, output)
  })
}
