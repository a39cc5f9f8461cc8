/** Where a field of the identity came from. */
export type IdentitySource =
  'option' | 'environment' | 'hosts file' | 'hostname' | 'resolv.conf' | 'service account' | 'default';

/** Which set this process looks at, and which pod of it this process is. Constant for the life of the process. */
export interface Identity {
  /** `web-1`; `null` for an observer. */
  readonly podName: string | null;
  /** `1`; `null` for an observer. */
  readonly ordinal: number | null;
  /** `web`. */
  readonly statefulSet: string;
  /** The governing Service, `nginx`. */
  readonly service: string;
  readonly namespace: string;
  /** `cluster.local`, lower-case, no final dot. */
  readonly clusterDomain: string;
  /** `nginx.default.svc.cluster.local`. */
  readonly serviceName: string;
  /** `web-1.nginx.default.svc.cluster.local`; `null` for an observer. */
  readonly stableName: string | null;
  /** This pod's own IPs that are known for certain (hosts file, `POD_IP`, `POD_IPS`), canonical. Empty for an observer. */
  readonly addresses: readonly string[];
  /** Each field's source. */
  readonly sources: Readonly<
    Record<'podName' | 'statefulSet' | 'service' | 'namespace' | 'clusterDomain' | 'addresses', IdentitySource | null>
  >;
}
