<?php

/*
 * Tells which of the fields that matter PHP finds in forms: one query string a line, JSON each.
 */

declare(strict_types=1);

while (($line = fgets(STDIN)) !== false) {
    parse_str(rtrim($line, "\n"), $fields);
    $found = array_intersect_key($fields, ['socket_id' => 0, 'channel_name' => 0, '_method' => 0]);
    echo json_encode($found, JSON_INVALID_UTF8_SUBSTITUTE | JSON_FORCE_OBJECT), "\n";
}
