/**
 * The router of the demo, as a process: `router.ts FILE`. Says one line when it runs, and ends at SIGTERM, or with the
 * process that started it; then it also removes the folder that this one made, and FILE is in.
 */
import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { aborted, endWithReaders, interruption } from '../interrupt.ts'
import { exitCodeOf, Output } from '../output.ts'
import { bootNode, describeLinks } from '../stack/boot.ts'
import { readConfig } from '../stack/config.ts'

async function main(): Promise<void> {
  const path = process.argv[2] ?? ''
  const config = readConfig(path)
  const signal = interruption()
  await using _running = await bootNode(config, { command: 'router', control: true })
  process.stdout.write(`forwarding between ${describeLinks(config.links)}\n`)
  await aborted(signal)
  if (!process.connected) rmSync(dirname(path), { recursive: true, force: true })
}

endWithReaders()
main().catch((error: unknown) => {
  new Output(false).error(error)
  process.exitCode = exitCodeOf(error)
})
