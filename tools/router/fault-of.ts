/** Lets layers themselves say what is wrong with what they are told. */
import type { Problem } from '../stack/yaml.ts'

/** @param make makes the layer, and throws what is to be said. @returns undefined when nothing is wrong. */
export function faultOf(make: () => unknown): string | undefined {
  try {
    make()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/**
 * A layer's complaint, with its place in the file: that which the complaint names, as 'nat.forwards[1].to'.
 * @param section its place where it names none within.
 */
export function complaintAt(message: string, section: readonly PropertyKey[]): Problem {
  const named = new RegExp(`\\b${String(section[0])}[\\w.[\\]]*`).exec(message)?.[0] ?? ''
  const path = named.split(/[.[\]]+/).filter((key) => key !== '')
  const keys = path.map((key) => (/^\d+$/.test(key) ? Number(key) : key))
  return { path: keys.length > section.length ? keys : section, message }
}
