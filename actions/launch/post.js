require('./launch.js')('post');
