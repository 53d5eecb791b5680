/** A host and a port as one text. */

/** '10.0.0.1:80', or '[fd00::1]:80' as RFC 3986 §3.2.2 has it. */
export const hostPortText = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
