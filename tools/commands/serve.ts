/** `netstrata serve`: a folder over HTTP, on a stack of ours. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import http from 'node:http'
import { extname, join, resolve, sep } from 'node:path'
import { pipeline } from 'node:stream'
import type { Command } from 'commander'
import { usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { aborted, interruption } from '../interrupt.ts'
import { Output } from '../output.ts'
import { bootNode, describeLinks } from '../stack/boot.ts'
import { integerArgument, type StackOptions, stackConfig, withStack } from '../stack/options.ts'

interface ServeOptions extends StackOptions {
  readonly port: number
  readonly json?: boolean
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.md': 'text/plain; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
}

export function registerServe(program: Command): void {
  const command = program.command('serve').description('serve a folder over HTTP').argument('<dir>', 'the folder')
  withStack(command)
    .option('-p, --port <port>', 'the port inside the stack', integerArgument(1, 65_535), 80)
    .option('--json', 'one object a line')
    .action(serve)
  withExamples(command, [
    'netstrata serve . --link udp:7000 --address 10.0.0.1/24',
    'netstrata serve . --link tap:tap0 --address 10.0.0.2/24',
  ])
}

async function serve(dir: string, options: ServeOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  const root = await folder(dir)
  const config = stackConfig(options)
  await using running = await bootNode(config, { command: 'serve', control: true })
  const server = http.createServer((request, response) => {
    const from = request.socket.remoteAddress ?? 'gone'
    response.on('close', () => {
      output.data(
        { from, method: request.method, url: request.url, status: response.statusCode },
        () => `${from} ${request.method} ${request.url} ${response.statusCode}`,
      )
    })
    void answer(root, request, response)
  })
  // Clients that end their side after the request (`nc`) still want the answer; Node's default hangs up on them.
  Object.assign(server, { httpAllowHalfOpen: true })
  const listener = running.node.net.attach(server).listen(options.port)
  await once(listener, 'listening')
  output.message(`serving ${root} on port ${options.port} of ${describeLinks(config.links)}`)
  await aborted(signal)
  server.closeAllConnections()
  throw signal.reason
}

async function folder(dir: string): Promise<string> {
  try {
    const root = await realpath(resolve(dir))
    if ((await stat(root)).isDirectory()) return root
  } catch {
    // Said below.
  }
  throw usageError(`'${dir}' is not a folder`)
}

async function answer(root: string, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'only GET and HEAD')
  try {
    const wanted = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname)
    // Links may point out of the folder: what counts is where the file really is.
    const path = await realpath(join(root, wanted))
    if (path !== root && !path.startsWith(root + sep)) return refuse(response, 403, 'not in the folder')
    const found = await stat(path)
    if (!found.isDirectory()) return send(path, found.size, request, response)
    const index = join(path, 'index.html')
    const page = await stat(index).catch(() => undefined)
    if (page?.isFile()) send(index, page.size, request, response)
    else await list(path, wanted, response)
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
    refuse(response, absent ? 404 : 400, absent ? 'no such file' : 'bad request')
  }
}

function send(path: string, size: number, request: http.IncomingMessage, response: http.ServerResponse): void {
  response.writeHead(200, {
    'content-length': size,
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
  })
  if (request.method === 'HEAD') response.end()
  else pipeline(createReadStream(path), response, () => {})
}

async function list(path: string, wanted: string, response: http.ServerResponse): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true })
  const base = wanted.endsWith('/') ? wanted : `${wanted}/`
  const items = entries
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort()
    .map((name) => `<li><a href="${base}${encodeURIComponent(name).replace('%2F', '/')}">${escapeHtml(name)}</a>`)
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  response.end(`<!doctype html><title>${escapeHtml(wanted)}</title><ul>${items.join('')}</ul>\n`)
}

function refuse(response: http.ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`${why}\n`)
}

const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
