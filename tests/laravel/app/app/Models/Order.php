<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

class Order extends Model
{
    public $timestamps = false;

    /** @var array<string, string> */
    protected $casts = ['user_id' => 'int', 'total' => 'int'];
}
