/**
 * Tests of Node's that are known not to pass, and why that is right or accepted. One that passes all the same is a failure
 * too: take it out.
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
    http-parser-timeout-reset http-keep-alive-large-write http-regr-gh-2928`,
  "local (Unix) sockets are the host's": `
    net-better-error-messages-listen-path net-better-error-messages-path net-connect-options-path net-perf_hooks
    net-pingpong net-pipe-connect-errors net-server-listen-path net-server-listen-options
    http-client-with-create-connection tls-net-connect-prefer-path tls-wrap-econnreset-pipe`,
  "descriptors are the host's": `
    dgram-bind-fd net-connect-options-fd net-listen-fd0 net-server-listen-handle net-socket-constructor`,
  'a child process or worker has a node, and a network, of its own': `
    dgram-bind-socket-close-before-cluster-reply dgram-exclusive-implicit-bind dgram-bind-shared-ports
    dgram-implicit-bind-failure net-child-process-connect-reset net-listen-shared-ports
    net-server-close-before-ipc-response net-response-size http-chunk-problem http-pipeline-flood http-server-stale-close
    https-agent-unref-socket tls-env-extra-ca tls-handshake-error tls-invalid-pfx tls-legacy-pfx tls-ticket-cluster`,
  'our errors are of their own class, and their messages say more': `
    dgram-address dgram-msgsize dgram-multicast-loopback dgram-multicast-setTTL dgram-setBroadcast dgram-setTTL
    dgram-error-message-address net-connect-options-port net-connect-reset-until-connected`,
  'there are no multicast memberships yet': 'dgram-membership dgram-multicast-set-interface',
  "names are those of the node; dns is the host's": `
    dgram-custom-lookup diagnostics-channel-http http-autoselectfamily http-correct-hostname https-autoselectfamily`,
  'what is sent just before close is sent; Node forgets it': 'dgram-oob-buffer',
  'it counts what waits in a queue of the host': 'dgram-send-queue-info',
  'it compares buffer sizes with those of the Linux kernel, which doubles them': 'dgram-socket-buffer-size',
  'it counts how often a buffer is asked for': 'net-onread-static-buffer',
  'it depends on where a stream is cut into chunks': 'http-pause-no-dump',
  'it depends on whether news of the client or of the answer are faster': 'http-writable-true-after-close',
}

const KNOWN: ReadonlyMap<string, string> = new Map(
  Object.entries(REASONS).flatMap(([reason, names]) =>
    names
      .trim()
      .split(/\s+/)
      .map((name): [string, string] => [`test-${name}.js`, reason]),
  ),
)

/** Why a test need not pass, by its file name; undefined when it must. */
export function knownReason(name: string): string | undefined {
  return KNOWN.get(name)
}
