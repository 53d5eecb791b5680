/** What the far server of the demo serves. */
export const page = (): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>netstrata</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem; color: #223 }
  pre { background: #f4f6fa; padding: 1rem; border-radius: .5rem; overflow: auto; line-height: 1.3 }
</style>
<h1>This page crossed netstrata</h1>
<p>It came from an unmodified <code>http.createServer</code> in another process. Below it, in place of the kernel, is a
network stack in TypeScript: TCP, IPv4, ARP, Ethernet and VXLAN, through a router, without root.</p>
<pre>
 your browser                                       http.createServer
      │                                                     │
127.0.0.1 ── alice ─────────── r1 ─────────── bob ── 10.0.2.2:80
            10.0.1.2    10.0.1.1│10.0.2.1    10.0.2.2
                Ethernet over UDP   Ethernet over UDP
</pre>
`
