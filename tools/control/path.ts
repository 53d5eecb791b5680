/** Where the control sockets of running nodes are: one folder per user, one Unix socket per node. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandError, EXIT, usageError } from '../exit.ts'

const SUFFIX = '.sock'
/** sun_path holds 108 octets with its NUL (unix(7)); macOS 104. */
const MAX_PATH_OCTETS = 103

/** A user of systemd's making may have no entry that `userInfo` could find; where there are no numbers, as Node has it. */
const ownUid = (): number => process.getuid?.() ?? -1

function folderPath(): string {
  const runtime = process.env.XDG_RUNTIME_DIR
  // Inherited by su and sudo, it may name what is not there, or not ours.
  return runtime !== undefined && existsSync(runtime)
    ? join(runtime, 'netstrata')
    : join(tmpdir(), `netstrata-${ownUid()}`)
}

/** The folder, made if need be; only its owner may enter. @throws CommandError exit 1 — it belongs to somebody else. */
export function controlFolder(): string {
  const folder = folderPath()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = statSync(folder)
  if (uid !== ownUid() || (mode & 0o077) !== 0) {
    throw new CommandError(`${folder} is open to other users; remove it and try again`, EXIT.failure, 'EACCES')
  }
  return folder
}

/** Removes the folder when the last node has gone. */
export function tidyControlFolder(): void {
  try {
    rmdirSync(folderPath())
  } catch {
    // Others are still in it.
  }
}

/** Where a node's socket is, or would be. @throws CommandError exit 2 — the name does not fit into a socket's path. */
export function controlPath(node: string): string {
  const path = join(folderPath(), `${node}${SUFFIX}`)
  if (!/^[A-Za-z0-9_.-]+$/.test(node)) {
    throw usageError(`'${node}' cannot name a node: use a few letters, digits, and _ . -`)
  }
  if (Buffer.byteLength(path) > MAX_PATH_OCTETS) {
    throw usageError(
      `a socket's path has at most ${MAX_PATH_OCTETS} octets, ${path} has more: use a shorter name or XDG_RUNTIME_DIR`,
    )
  }
  return path
}

/** Names of the nodes that run here: one that was killed has left its socket behind, which nobody answers. */
export async function runningNames(): Promise<string[]> {
  const folder = folderPath()
  if (!existsSync(folder)) return []
  const sockets = readdirSync(folder).filter((file) => file.endsWith(SUFFIX))
  const alive = await Promise.all(sockets.map((file) => answers(join(folder, file))))
  return sockets
    .filter((_, i) => alive[i])
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort()
}

/** Whether somebody listens at a Unix socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', () => resolve(false))
  })
}
