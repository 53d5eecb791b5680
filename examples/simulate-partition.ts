/**
 * A transfer that survives a partition of 20 seconds, on virtual time: it takes a fraction of a second of yours.
 * Run: npx tsx examples/simulate-partition.ts
 */
import { createHash } from 'node:crypto'
import { ms, seconds } from '../src/index.ts'
import { network } from '../src/testing.ts'

async function main(): Promise<void> {
  await using net = network({
    seed: 7,
    hosts: { A: {}, B: {} },
    routers: { R: {} },
    links: [
      { between: ['A', 'R'], delay: ms(10) },
      { between: ['R', 'B'], loss: 0.01, rate: 10_000_000 },
    ],
  })
  const { A, B } = net.nodes
  const data = Buffer.alloc(500_000, 'survives ')
  const hash = (octets: Buffer): string => createHash('sha256').update(octets).digest('hex')

  let arrived: string | undefined
  B.net
    .createServer((socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('end', () => {
        arrived = hash(Buffer.concat(chunks))
        socket.end()
      })
    })
    .listen(80)
  A.net.connect(80, 'B').end(data)

  await net.sim.run(ms(200))
  const cut = net.partition(['A', 'R'], ['B'])
  await net.sim.run(seconds(20))
  cut.heal()
  await net.sim.runUntil(() => arrived !== undefined, seconds(120))
  const verdict = arrived === hash(data) ? 'arrived exactly' : 'DID NOT ARRIVE'
  process.stdout.write(`${data.length} octets ${verdict} after ${(net.sim.now() / 1e6).toFixed(1)} s of virtual time\n`)
}

void main()
