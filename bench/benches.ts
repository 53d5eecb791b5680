/** Every bench by its name, in the order of `docs/performance.md`. */
import { arq } from './arq.ts'
import { babelBench } from './babel.ts'
import { babelRing } from './babel-ring.ts'
import { connectBench } from './connect.ts'
import { connections } from './connections.ts'
import { fairness } from './fairness.ts'
import { fcs } from './fcs.ts'
import { forward } from './forward.ts'
import { goodput } from './goodput.ts'
import type { Bench } from './harness.ts'
import { hdlc } from './hdlc.ts'
import { httpBench } from './http.ts'
import { memory } from './memory.ts'
import { routes } from './routes.ts'
import { rtt } from './rtt.ts'
import { sim } from './sim.ts'
import { tcpLoop } from './tcp-loop.ts'
import { tcpTap } from './tcp-tap.ts'
import { tcpUdp } from './tcp-udp.ts'
import { tunnelPps } from './tunnel-pps.ts'
import { udpPps } from './udp-pps.ts'

export const BENCHES: Readonly<Record<string, Bench>> = {
  'tcp-loop': tcpLoop,
  'tcp-tap': tcpTap,
  'tcp-udp': tcpUdp,
  'tunnel-pps': tunnelPps,
  forward,
  routes,
  'udp-pps': udpPps,
  http: httpBench,
  connect: connectBench,
  rtt,
  memory,
  connections,
  sim,
  goodput,
  fairness,
  hdlc,
  fcs,
  arq,
  babel: babelBench,
  'babel-ring': babelRing,
}

/** Those that take long, and so run only when they are named. */
export const LONG: ReadonlySet<string> = new Set([
  'routes',
  'connections',
  'goodput',
  'fairness',
  'fcs',
  'babel',
  'babel-ring',
])
