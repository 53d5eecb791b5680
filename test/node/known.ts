/**
 * Tests of Node's that are known not to pass, and why that is right or accepted. One that passes all the same is a failure
 * too: take it out. Those with a '?' pass now and then.
 */

const REASONS: Readonly<Record<string, string>> = {
  "it looks at Node's inside: handles, bindings, symbols, underscored names": `
    dgram-close-during-bind dgram-close dgram-create-socket-handle-fd dgram-recv-error dgram-send-error
    net-access-byteswritten net-after-close net-connect-keepalive net-connect-nodelay
    net-deprecated-setsimultaneousaccepts net-end-close net-listen-invalid-port net-normalize-args
    net-persistent-nodelay net-server-bind net-server-keepalive net-server-nodelay
    net-server-simultaneous-accepts-produce-warning-once net-socket-connecting net-socket-setnodelay
    net-socket-write-after-close net-timeout-no-handle dgram-deprecation-error dgram-sendto
    http-client-immediate-error http-client-spurious-aborted http-client-timeout-on-connect http-nodelay
    http-parser-timeout-reset http-keep-alive-large-write http-regr-gh-2928 tls-wrap-timeout tls-writewrap-leak`,
  "local (Unix) sockets are the host's": `
    net-better-error-messages-listen-path net-better-error-messages-path net-connect-options-path net-perf_hooks
    net-pingpong net-pipe-connect-errors net-server-listen-path net-server-listen-options
    http-client-with-create-connection tls-net-connect-prefer-path tls-wrap-econnreset-pipe http2-pipe-named-pipe`,
  "descriptors are the host's": `
    dgram-bind-fd net-connect-options-fd net-listen-fd0 net-server-listen-handle net-socket-constructor`,
  'a child process or worker has a node, and a network, of its own': `
    dgram-bind-socket-close-before-cluster-reply dgram-exclusive-implicit-bind dgram-bind-shared-ports
    dgram-implicit-bind-failure net-child-process-connect-reset net-listen-shared-ports net-listen-handle-in-cluster-1
    net-server-close-before-ipc-response net-response-size http-chunk-problem http-pipeline-flood http-server-stale-close
    https-agent-unref-socket tls-env-extra-ca tls-ticket-cluster`,
  'our errors are of their own class, and their messages say more': `
    dgram-address dgram-msgsize dgram-multicast-loopback dgram-multicast-setTTL dgram-setBroadcast dgram-setTTL
    dgram-error-message-address dgram-membership net-connect-options-port net-connect-reset-until-connected
    net-connect-local-error net-autoselectfamily net-autoselectfamily-default net-autoselectfamily-commandline-option`,
  'addresses and links are those of the node, and not what os.networkInterfaces() says': `
    dgram-multicast-set-interface dgram-udp6-link-local-address`,
  "names are those of the node; dns is the host's": `
    net-server-listen-ipv6-link-local diagnostics-channel-http http-autoselectfamily http-correct-hostname https-autoselectfamily`,
  'what is sent just before close is sent; Node forgets it': 'dgram-oob-buffer',
  'it counts what waits in a queue of the host': 'dgram-send-queue-info',
  'a port has one server; the host has several, for several processes': 'net-reuseport',
  'it compares buffer sizes with those of the Linux kernel, which doubles them': 'dgram-socket-buffer-size',
  'it counts how often a buffer is asked for': 'net-onread-static-buffer',
  "a TLS socket that is made before there is a socket, and connects later, is the host's": `
    tls-retain-handle-no-abort tls-socket-default-options`,
  'TLS speaks before a socket of ours is connected: where that fails by itself, nobody is connected to':
    'tls-cli-min-version-1.3',
  "Node's TLS and HTTP/2 stand on our sockets, and are of its own classes": `
    https-keep-alive-drop-requests http2-compat-serverrequest http2-compat-serverresponse-finished
    http2-compat-socket http2-socket-proxy http2-unbound-socket-proxy`,
  "Node's TLS writes while it reads, which only a stream of Node's own can take": 'tls-disable-renegotiation?',
  "Node's HTTP/2 does the same over its own socket, where that is no stream of libuv's": `
    http2-buffersize http2-client-destroy http2-client-onconnect-errors http2-client-request-options-errors
    http2-client-setLocalWindowSize http2-client-setNextStreamID-errors http2-client-stream-destroy-before-connect
    http2-compat-errors http2-close-while-writing? http2-connect http2-compat-socket-destroy-delayed
    http2-destroy-after-write http2-empty-frame-without-eof? http2-goaway-delayed-request http2-invalidheaderfield
    http2-misbehaving-flow-control http2-options-max-headers-block-length http2-propagate-session-destroy-code
    http2-respond-file-fd-invalid? http2-server-errors http2-session-settings http2-session-stream-state
    http2-session-unref http2-single-headers http2-stream-removelisteners-after-close`,
  'it exchanges a function of net, of which HTTP/2 has its own copy here': 'http2-client-port-80',
  "it counts on turns of libuv's loop between a call and what comes of it": `
    https-agent-abort-controller? tls-connect-abort-controller? tls-socket-close`,
  'it wants no alert of TLS before the end of a connection; ours arrives': 'tls-psk-errors',
  "where onread is used, a TLS socket over ours emits 'data', too": 'tls-onread-static-buffer',
  'it depends on which of two timers of a millisecond is first': `
    http2-compat-serverrequest-settimeout? http2-compat-serverresponse-settimeout? http2-client-jsstream-destroy?`,
  'it depends on where a stream is cut into chunks': 'http-pause-no-dump',
  'it depends on whether news of the client or of the answer are faster': 'http-writable-true-after-close',
}

interface Known {
  readonly reason: string
  /** It passes now and then. */
  readonly mayPass: boolean
}

const KNOWN: ReadonlyMap<string, Known> = new Map(
  Object.entries(REASONS).flatMap(([reason, names]) =>
    names
      .trim()
      .split(/\s+/)
      .map((name): [string, Known] => [`test-${name.replace('?', '')}.js`, { reason, mayPass: name.endsWith('?') }]),
  ),
)

/** Why a test need not pass, by its file name; undefined when it must. */
export function known(name: string): Known | undefined {
  return KNOWN.get(name)
}
