require('./launch.js')('main');
