/**
 * The request header that names the pod a request is meant for, by stable name. Host does so; the dispatcher sends this
 * one where the caller sets another Host.
 */
export const targetHeader = 'stateful-peers-target';

/**
 * The response header that marks a 421 of the identity guard, so that an application's own 421 is left alone. Its value
 * says who refused: a pod name, with `; superseded` where another process has that name now.
 */
export const refusalHeader = 'stateful-peers-refused-by';
