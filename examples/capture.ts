/**
 * A capture of a bad network, with the stack's own reasons as comments, and how to read it back.
 * Run: npx tsx examples/capture.ts [FILE]   then open it in Wireshark
 */
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CaptureReader, ms, seconds } from '../src/index.ts'
import { network } from '../src/testing.ts'

async function main(): Promise<void> {
  const path = process.argv[2] ?? join(tmpdir(), `netstrata-example-${process.pid}.pcapng`)
  const net = network({ seed: 3, hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'], delay: ms(5), loss: 0.03 }] })
  net.sim.capture(path)
  net.nodes.B.net.createServer((socket) => socket.resume()).listen(80)
  net.nodes.A.net.connect(80, 'B').end(Buffer.alloc(200_000))
  await net.sim.run(seconds(30))
  await net.close()

  const reader = new CaptureReader()
  const records = reader.push(readFileSync(path))
  reader.end()
  const remarks = new Map<string, number>()
  for (const remark of records.flatMap(({ comments }) => comments)) remarks.set(remark, (remarks.get(remark) ?? 0) + 1)
  process.stdout.write(`${records.length} packets\n`)
  for (const [remark, count] of remarks) process.stdout.write(`${String(count).padStart(4)}  ${remark}\n`)
  if (process.argv[2] === undefined) rmSync(path)
}

void main()
