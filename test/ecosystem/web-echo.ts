/** Servers of the web that answer with what they are sent, for either side. */
import type http from 'node:http'
import type http2 from 'node:http2'
import { type WebSocket, WebSocketServer } from 'ws'

/** What is posted comes back, trailers too; anything else is told how it was asked for. */
export const echoHttp: http.RequestListener = (request, response) => {
  const { method, url, httpVersion, socket } = request
  if (method === 'POST') request.pipe(response)
  else response.end(`${method} ${url} by HTTP/${httpVersion} from ${socket.remoteAddress}`)
}

export function echoHttp2(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  stream.respond({ ':status': 200 })
  if (headers[':method'] === 'POST') stream.pipe(stream)
  else stream.end(`${headers[':method']} ${headers[':path']} by HTTP/2 from ${stream.session?.socket.remoteAddress}`)
}

/** Lets WebSockets into a server of HTTP. @returns the server. */
export function echoWebSockets<S extends http.Server>(server: S): S {
  new WebSocketServer({ server }).on('connection', (socket: WebSocket) => {
    socket.on('message', (octets, binary) => socket.send(octets, { binary }))
  })
  return server
}
