/**
 * Lets a layer itself say what is wrong with what it is told.
 * @param make makes the layer, and throws what is to be said. @returns undefined when nothing is wrong.
 */
export function faultOf(make: () => unknown): string | undefined {
  try {
    make()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
