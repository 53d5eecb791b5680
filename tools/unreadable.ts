/** Why a file cannot be read, for people. */

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'no permission',
  EISDIR: 'it is a folder',
}

/** @returns the sentence, and the system's code. */
export function unreadable(path: string, error: unknown): { readonly message: string; readonly code: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'EIO'
  return { message: `'${path}' cannot be read: ${WHY[code] ?? code}`, code }
}
