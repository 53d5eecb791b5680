/**
 * Builds src/kernel/checksum-wasm.ts from src/kernel/checksum.wat:
 *
 *     node --import tsx scripts/build-checksum.ts
 *
 * test/kernel/checksum.test.ts fails when the two do not belong together.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import wabt from 'wabt'

const SOURCE = new URL('../src/kernel/checksum.wat', import.meta.url)
const TARGET = new URL('../src/kernel/checksum-wasm.ts', import.meta.url)
const OCTETS_A_LINE = 24

/** @param source a module in WebAssembly's text format. @returns the TypeScript file that holds it in binary. */
export async function build(source: string): Promise<string> {
  const { parseWat } = await wabt()
  const parsed = parseWat('checksum.wat', source, { simd: true })
  try {
    parsed.resolveNames()
    parsed.validate()
    return render(parsed.toBinary({ write_debug_names: false }).buffer)
  } finally {
    parsed.destroy()
  }
}

function render(octets: Uint8Array): string {
  const lines: string[] = []
  for (let at = 0; at < octets.length; at += OCTETS_A_LINE) {
    lines.push(`  '${Buffer.from(octets.subarray(at, at + OCTETS_A_LINE)).toString('hex')}'`)
  }
  return `/**
 * Generated from checksum.wat by \`node --import tsx scripts/build-checksum.ts\`: change the one, run the other.
 */

/** The module in WebAssembly's binary format, ${octets.length} octets in hexadecimal. */
export const CHECKSUM_WASM: string =
${lines.join(' +\n')}
`
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await writeFile(TARGET, await build(await readFile(SOURCE, 'utf8')))
}
