import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClusterState, EndpointSlice, ServiceObject } from '../../src/testing/cluster-state.ts';

/** Where the objects come from: a ClusterHistory, or `{ get current() { return cluster.state; } }` of a TestCluster. */
export interface ClusterSource {
  readonly current: ClusterState;
}

/**
 * As much of the Kubernetes API as CoreDNS's `kubernetes` plugin asks for: list and watch of namespaces, Services and
 * EndpointSlices, in JSON. A client that asks for protobuf, or for `sendInitialEvents`, takes this as well.
 *
 * One for each replica, so that a replica can be behind.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export class KubernetesApi {
  readonly port: number;
  readonly #server: Server;
  readonly #source: ClusterSource;
  readonly #timer: NodeJS.Timeout;
  readonly #watches = new Set<{ readonly resource: string; readonly response: ServerResponse }>();
  #seen: ClusterState | null = null;
  #version = 1;
  #objects: ReadonlyMap<string, KubernetesObject> = new Map();
  readonly #events: Event[] = [];
  #frozen = 0;

  private constructor(server: Server, source: ClusterSource) {
    this.#server = server;
    this.#source = source;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response));
    // A cluster does not tell of its changes; a look costs nothing where nothing has changed.
    this.#timer = setInterval(() => this.#look(), lookEveryMs);
    this.#look();
  }

  /** Serves that cluster until it is closed. Default: loopback, any free port. */
  static async listen(
    source: ClusterSource,
    { host = '127.0.0.1', port = 0 }: { readonly host?: string; readonly port?: number } = {},
  ): Promise<KubernetesApi> {
    const server = createServer();
    server.listen(port, host);
    await once(server, 'listening');
    return new KubernetesApi(server, source);
  }

  /** Nobody sees a change from now on. At the end all of them come at once, as one. */
  freeze(): Disposable & { readonly end: () => void } {
    this.#look();
    this.#frozen += 1;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      this.#frozen -= 1;
      this.#look();
    };
    return { end, [Symbol.dispose]: end };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Makes events of what has changed, and sends them to those who watch. */
  #look(): void {
    const { current } = this.#source;
    if (this.#frozen > 0 || current === this.#seen) return;
    this.#seen = current;
    const objects = new Map(objectsOf(current).map((object) => [keyOf(object), object]));
    for (const [key, object] of this.#objects) {
      if (!objects.has(key)) this.#happened('DELETED', object);
    }
    for (const [key, object] of objects) {
      const known = this.#objects.get(key);
      if (known === undefined) this.#happened('ADDED', object);
      else if (JSON.stringify(known) !== JSON.stringify(object)) this.#happened('MODIFIED', object);
    }
    this.#objects = objects;
  }

  #happened(type: EventType, object: KubernetesObject): void {
    this.#version += 1;
    const event = { version: this.#version, resource: object.resource, line: lineOf(type, object, this.#version) };
    this.#events.push(event);
    for (const { resource, response } of this.#watches) {
      if (resource === event.resource) response.write(event.line);
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname === '/version') {
      send(response, 200, { major: '1', minor: '37', gitVersion: 'v1.37.0' });
      return;
    }
    const kind = kinds[url.pathname];
    if (kind === undefined) send(response, 404, failure(404, 'NotFound', 'there is no such resource here'));
    else if (url.searchParams.get('watch') !== 'true') this.#list(kind, response);
    // "Streaming lists" came with Kubernetes 1.32: clients fall back to list and watch.
    else if (url.searchParams.has('sendInitialEvents')) {
      send(response, 422, failure(422, 'Invalid', 'sendInitialEvents is forbidden'));
    } else this.#watch(kind, Number(url.searchParams.get('resourceVersion') ?? 0), response);
  }

  #list({ apiVersion, kind, resource }: Kind, response: ServerResponse): void {
    this.#look();
    const items = [...this.#objects.values()].filter((object) => object.resource === resource);
    send(response, 200, {
      apiVersion,
      kind: `${kind}List`,
      metadata: { resourceVersion: String(this.#version) },
      items: items.map((object) => bodyOf(object, this.#version)),
    });
  }

  #watch({ resource }: Kind, version: number, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of this.#events) {
      if (event.resource === resource && event.version > version) response.write(event.line);
    }
    const watch = { resource, response };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
  }
}

const lookEveryMs = 5;

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resource: string;
}

interface KubernetesObject {
  readonly resource: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly [field: string]: unknown;
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

interface Event {
  readonly version: number;
  readonly resource: string;
  readonly line: string;
}

const namespaces: Kind = { apiVersion: 'v1', kind: 'Namespace', resource: 'namespaces' };
const services: Kind = { apiVersion: 'v1', kind: 'Service', resource: 'services' };
const slices: Kind = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', resource: 'endpointslices' };

const kinds: Readonly<Record<string, Kind | undefined>> = {
  '/api/v1/namespaces': namespaces,
  '/api/v1/services': services,
  '/apis/discovery.k8s.io/v1/endpointslices': slices,
};

function objectsOf(state: ClusterState): KubernetesObject[] {
  return [
    ...state.namespaces.map((name) => ({ ...namespaces, metadata: { name } })),
    ...state.services.map(serviceOf),
    ...state.endpointSlices.map(sliceOf),
  ];
}

function serviceOf({ name, namespace, type, clusterIPs, externalName, ports }: ServiceObject): KubernetesObject {
  const addresses = type === 'Headless' ? ['None'] : clusterIPs;
  return {
    ...services,
    metadata: { name, namespace },
    spec: {
      type: type === 'ExternalName' ? type : 'ClusterIP',
      ...(externalName === null ? { clusterIP: addresses[0] ?? '', clusterIPs: addresses } : { externalName }),
      ports,
    },
  };
}

function sliceOf({ name, namespace, serviceName, addressType, ports, endpoints }: EndpointSlice): KubernetesObject {
  return {
    ...slices,
    metadata: { name, namespace, labels: { 'kubernetes.io/service-name': serviceName } },
    addressType,
    ports,
    endpoints: endpoints.map(({ hostname, targetRef, ...rest }) => ({
      ...rest,
      ...(hostname !== null && { hostname }),
      ...(targetRef !== null && { targetRef: { kind: 'Pod', name: targetRef, namespace } }),
    })),
  };
}

function keyOf({ resource, metadata: { namespace = '', name } }: KubernetesObject): string {
  return `${resource} ${namespace}/${name}`;
}

function bodyOf({ resource, metadata, ...object }: KubernetesObject, version: number): object {
  const { namespace = '', name } = metadata;
  return {
    ...object,
    metadata: { ...metadata, uid: `${resource}-${namespace}-${name}`, resourceVersion: String(version) },
  };
}

function lineOf(type: EventType, object: KubernetesObject, version: number): string {
  return `${JSON.stringify({ type, object: bodyOf(object, version) })}\n`;
}

function failure(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
