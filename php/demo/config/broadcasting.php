<?php

// The connection `pogo` is the package's own; it reads POGO_APP_ID, POGO_APP_SECRET and POGO_BROKER.
return ['default' => 'pogo', 'connections' => []];
