/** The router of the demo, as a process: `router.ts FILE`. Says one line when it runs, and ends at SIGTERM. */
import { aborted, interruption } from '../interrupt.ts'
import { exitCodeOf, Output } from '../output.ts'
import { bootNode, describeLinks } from '../stack/boot.ts'
import { readConfig } from '../stack/config.ts'

async function main(): Promise<void> {
  const config = readConfig(process.argv[2] ?? '')
  const signal = interruption()
  await using _running = await bootNode(config, { command: 'router', control: true })
  process.stdout.write(`forwarding between ${describeLinks(config.links)}\n`)
  await aborted(signal)
}

main().catch((error: unknown) => {
  new Output(false).error(error)
  process.exitCode = exitCodeOf(error)
})
