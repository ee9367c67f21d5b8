// Names a decision without the token in it: nginx writes its cache keys into the files of its cache.
import crypto from 'crypto';

function key(r) {
    const told = r.variables;
    return crypto.createHash('sha256')
        .update([told.gateway_token, told.http_host, told.gateway_method, told.gateway_route].join('\n'))
        .digest('base64url');
}

export default { key };
