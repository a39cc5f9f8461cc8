/**
 * The request header that names the pod a request is meant for, by stable name. The dispatcher sends it beside Host,
 * which a caller or a proxy may set to something else.
 */
export const targetHeader = 'stateful-peers-target';

/**
 * The response header that marks a 421 of the identity guard, so that an application's own 421 is left alone. Its value
 * says who refused: a pod name, with `; superseded` where another process has that name now.
 */
export const refusalHeader = 'stateful-peers-refused-by';
