/** Scripts in folders. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** The file itself, or every `.pkt` file of a folder and those in it, sorted. @throws what the file system says. */
export function findScripts(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.pkt'))
    .sort()
    .map((file) => join(path, file))
}
