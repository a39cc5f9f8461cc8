// On Node 20, loading undici 7 before the built-in fetch makes it the dispatcher of the whole process, with which the
// built-in fetch refuses a content-length header (nodejs/undici#5500). Touching the built-in one first prevents that.
Reflect.get(globalThis, 'Headers');
