<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

class Order extends Model
{
    public $timestamps = false;

    /** @var list<string> */
    protected $fillable = ['item', 'total', 'placed_by'];

    /** @var array<string, string> */
    protected $casts = ['total' => 'int'];
}
