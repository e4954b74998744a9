// Takes this program's TLS connections to PagerDuty to the sandbox. The name that
// the certificate is checked against stays.
'use strict';

const net = require('net');
const tls = require('tls');
const { syncBuiltinESMExports } = require('module');

const hosts = new Set('@HOSTS@'.split(' '));
const connect = tls.connect;

// optionsOf gives the options of a call of tls.connect in any of its forms.
function optionsOf(args) {
  const options = {};
  if (typeof args[0] === 'object' && args[0] !== null) return Object.assign(options, args[0]);
  options.port = args[0];
  if (typeof args[1] === 'string') options.host = args[1];
  const further = args.find((arg) => typeof arg === 'object' && arg !== null);
  return Object.assign(options, further);
}

tls.connect = function (...args) {
  const options = optionsOf(args);
  const host = String(options.host || options.servername || '').toLowerCase().replace(/\.$/, '');
  // A connection with a socket runs through a proxy already, one with a path is local.
  if (options.socket || options.path || !hosts.has(host)) return connect.apply(this, args);
  const done = args.find((arg) => typeof arg === 'function');
  // The sandbox takes no connection without its token, which stands before the handshake.
  const socket = net.connect({ host: '@HOST@', port: Number('@PORT@') });
  socket.write('@GREETING@\r\n');
  const changed = { ...options, socket, servername: options.servername || host };
  delete changed.lookup;
  return connect.call(this, changed, done);
};
syncBuiltinESMExports();
