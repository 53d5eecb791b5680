/** Which netstrata this is. */
import { readFileSync } from 'node:fs'

/** The package's version. From sources the package's description is one folder up, built it is two. */
export function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const description: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'))
      if (typeof description === 'object' && description !== null && 'version' in description) {
        return String(description.version)
      }
    } catch {
      // The other place, then.
    }
  }
  return 'unknown'
}
