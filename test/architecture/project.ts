/** The project's sources as TypeScript sees them: parsed, and with every name resolved. */
import { existsSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'
import type { SourceFile } from 'typescript/unstable/ast'
import { API, type Checker, type Project } from 'typescript/unstable/sync'

/** The folder that holds package.json. */
export const root: string = join(import.meta.dirname, '..', '..')

/** Folders with TypeScript of ours. */
const FOLDERS = ['src', 'layers', 'tools', 'test', 'bench', 'examples', 'scripts'] as const

export interface Source {
  /** From the root, with slashes: 'src/kernel/packet.ts'. */
  readonly path: string
  readonly file: SourceFile
  readonly checker: Checker
}

/** Every file of ours, as the tree has them. */
export function sourcePaths(): string[] {
  return FOLDERS.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => posix.join(folder, path.replaceAll('\\', '/')))
      .filter((path) => /\.[cm]?tsx?$/.test(path) && !path.includes('/node_modules/'))
      .sort(),
  )
}

/** Parses and resolves the tree, then calls `use`; what it is given is valid until it returns. */
export function withTree<Result>(use: (sources: readonly Source[]) => Result): Result {
  return withProject(new API({ cwd: root }), 'tsconfig.json', sourcePaths(), use)
}

/**
 * The same for files that do not exist, laid over the tree: their imports and globals resolve as those of real files do.
 * @param planted text by path from the root.
 */
export function withPlanted<Result>(
  planted: Readonly<Record<string, string>>,
  use: (sources: readonly Source[]) => Result,
): Result {
  const config = 'tsconfig.planted.json'
  const overlay = new Map(Object.entries(planted).map(([path, text]) => [join(root, path), text]))
  overlay.set(
    join(root, config),
    JSON.stringify({ extends: './tsconfig.json', include: [], files: Object.keys(planted) }),
  )
  const api = new API({
    cwd: root,
    // undefined falls through to the real file system
    fs: { readFile: (path) => overlay.get(path), fileExists: (path) => overlay.has(path) || undefined },
  })
  return withProject(api, config, Object.keys(planted), use)
}

function withProject<Result>(
  api: API,
  config: string,
  paths: readonly string[],
  use: (sources: readonly Source[]) => Result,
): Result {
  try {
    const path = join(root, config)
    const project = api.updateSnapshot({ openProjects: [path] }).getProject(path)
    if (project === undefined) throw new Error(`TypeScript does not open ${path}`)
    return use(paths.map((path) => source(project, path)))
  } finally {
    api.close()
  }
}

function source(project: Project, path: string): Source {
  const file = project.program.getSourceFile(join(root, path))
  if (file === undefined) throw new Error(`${path} belongs to no project: add its folder to tsconfig.json`)
  return { path, file, checker: project.checker }
}
