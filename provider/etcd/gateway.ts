const PKI = "/etc/kubernetes/pki/etcd";

/**
 * etcd's HTTP API (its gRPC gateway), asked by kubectl as a client with a certificate: a control plane has no etcdctl, its
 * etcd image need not have one either, and curl is not on every machine. Shell functions:
 * `post PATH BODY [SERVER [SECONDS]]`; `healthy URL`; filters of a member list: `client_urls`, `digest` (all but the header, which changes
 * with every election).
 */
export const GATEWAY = `export LC_ALL=C
LOCAL=https://127.0.0.1:2379
etcd() { kubectl --kubeconfig=/dev/null --certificate-authority=${PKI}/ca.crt --client-certificate=${PKI}/healthcheck-client.crt --client-key=${PKI}/healthcheck-client.key "$@"; }
post() { printf '%s' "$2" | etcd --server="\${3:-$LOCAL}" --request-timeout="\${4:-10}s" create --raw "/v3/$1" -f -; }
healthy() { case "$(etcd --server="$1" --request-timeout=5s get --raw /health 2>/dev/null)" in *'"health":"true"'*) ;; *) return 1 ;; esac; }
client_urls() { grep -o '"clientURLs": *\\["[^"]*"' | cut -d '"' -f 4; }
digest() { sed 's/"header": *{[^}]*}//' | sha256sum | cut -c 1-64; }`;
